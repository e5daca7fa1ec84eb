// How values travel between the tests and the Node drivers, as JSON. Outwards binary is {"$bin": base64}; inwards there is
// also what JSON has no word for: {"$date": ms}, {"$undefined": true}, {"$text": n} and {"$bytes": n} of that length.
import { createHash } from "node:crypto";

// pack translates binary into its JSON form, at any depth.
export function pack(v) {
  if (v instanceof ArrayBuffer) v = Buffer.from(v);
  if (ArrayBuffer.isView(v)) return { $bin: Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString("base64") };
  if (Array.isArray(v)) return v.map(pack);
  if (v === null || typeof v !== "object" || v instanceof Date) return v;
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, pack(x)]));
}

export function unpack(v) {
  if (Array.isArray(v)) return v.map(unpack);
  if (v === null || typeof v !== "object") return v;
  if (typeof v.$bin === "string") return Buffer.from(v.$bin, "base64");
  if (typeof v.$date === "number") return new Date(v.$date);
  if (v.$undefined) return undefined;
  if (v.$text) return "x".repeat(v.$text);
  if (v.$bytes) return Buffer.alloc(v.$bytes, 7);
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, unpack(x)]));
}

// digest is pack with a fingerprint for each long text, and the length of each long list.
export function digest(v) {
  return short(pack(v));
}

// dates counts the values that are a Date, at any depth.
export function dates(v) {
  if (v instanceof Date) return 1;
  if (v === null || typeof v !== "object" || ArrayBuffer.isView(v)) return 0;
  return Object.values(v).reduce((n, x) => n + dates(x), 0);
}

function short(v) {
  if (typeof v === "string") {
    const bytes = Buffer.byteLength(v);
    return bytes <= 1000 ? v : `${bytes} bytes ${createHash("sha256").update(v).digest("hex")}`;
  }
  if (Array.isArray(v)) return v.length <= 1000 ? v.map(short) : `${v.length} items`;
  if (v === null || typeof v !== "object" || v instanceof Date) return v;
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, short(x)]));
}
