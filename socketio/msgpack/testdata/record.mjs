// node record.mjs > golden.txt, in a folder with socket.io-msgpack-parser: packets as the reference writes them, one a line:
// base64, a blank, and the packet as JSON, with {"$bin": base64} for binary.
import parser from "socket.io-msgpack-parser";

const bin = (...b) => Buffer.from(b);
const list = (n) => Array.from({ length: n }, (_, i) => i);
const object = (n) => Object.fromEntries(list(n).map((i) => [`k${i}`, i]));
const packets = [
  { type: 0, nsp: "/" },
  { type: 0, data: { token: "x" }, nsp: "/chat" },
  { type: 1, nsp: "/" },
  { type: 2, data: ["e"], nsp: "/" },
  { type: 2, data: ["e", 1, -1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, -32, -33, -128, -129, -32768, -32769, 2 ** 53], nsp: "/", id: 7 },
  { type: 2, data: ["e", 1.5, -0.1, 1e-7, -1.5e-300], nsp: "/", id: 300 },
  { type: 2, data: ["e", null, true, false, "", "ü€😀", "x".repeat(40), "x".repeat(300)], nsp: "/" },
  { type: 2, data: ["e", { a: [1, { b: null }], z: {} }, []], nsp: "/" },
  { type: 2, data: ["e", list(15), list(16), list(20), object(15), object(17)], nsp: "/" },
  { type: 2, data: ["e", bin(1, 2, 3), { deep: [bin(), Buffer.alloc(300, 7)] }], nsp: "/" },
  { type: 3, data: [], nsp: "/", id: 0 },
  { type: 3, data: ["answer"], nsp: "/chat", id: 70000 },
];
const packed = (v) => Buffer.isBuffer(v) ? { $bin: v.toString("base64") }
  : Array.isArray(v) ? v.map(packed)
  : v && typeof v === "object" ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, packed(x)])) : v;
for (const p of packets) console.log(Buffer.from(new parser.Encoder().encode(p)[0]).toString("base64"), JSON.stringify(packed(p)));
