// Sends one frame for each kind of value, and echoes what it gets as [echo, the value, its JSON text].
"use strict";

const shared = { twice: true };
const loop = { name: "loop" };
loop.self = loop;
class Point {
  constructor() {
    this.x = 1;
  }
  norm() {}
}
const values = {
  undefined: undefined,
  null: null,
  booleans: [true, false],
  integers: [0, 1, -1, 63, 64, -64, -65, 2147483647, -2147483648, 4294967295, 9007199254740991],
  doubles: [0.5, -0, 1e300, 1e21, 1e-7, NaN, Infinity, -Infinity],
  ascii: "plain",
  latin1: "na\u00efve \u00ff",
  utf16: "\u65e5\u672c \ud83d\ude00",
  oddLatin1AndUtf16: ["a", "\u20ac", "bc", "\u20ac\u20ac"],
  loneSurrogate: "a\ud800b",
  empty: ["", {}, []],
  object: { b: 1, a: { c: [1, { d: null }] }, 7: "seven", 3: "three", undef: undefined },
  bigKeys: { 4294967296: "x", "-1": "y", 1.5: "z" },
  dense: [1, "two", [3], undefined],
  holes: [1, , 3],
  sparse: Object.assign([], { 100: "far" }),
  arrayWithProperty: Object.assign([1, 2], { extra: "x" }),
  references: [shared, shared, { again: shared }],
  cycle: loop,
  buffer: Buffer.from("some bytes\u0000\u00ff", "latin1"),
  bytes: new Uint8Array([1, 2, 3]),
  floats: new Float32Array([1.5, -2]),
  arrayBuffer: new Uint8Array([9, 8, 7]).buffer,
  bufferTwice: [Buffer.from("x"), { deep: Buffer.alloc(300, 1) }],
  date: new Date(1700000000123),
  oldDate: new Date(-62198755200000),
  invalidDate: new Date(NaN),
  boxed: [Object(true), Object(false), Object(1.5), Object("s")],
  bigint: 123456789012345678901234567890n,
  negativeBigint: -1n,
  boxedBigint: Object(7n),
  regexp: /a+\/"/gi,
  map: new Map([["a", 1], [{ k: 1 }, new Map()]]),
  set: new Set([1, "two", { three: 3 }]),
  error: Object.assign(new TypeError("wrong"), { code: "E_X" }),
  errorWithCause: new Error("outer", { cause: new RangeError("inner") }),
  afterExotic: [new Map([[1, shared]]), shared, new Set([shared]), /x/, shared, new Error("e"), shared],
  class: new Point(),
  native: process.channel && new (require("net").BlockList)(),
  proto: JSON.parse('{"__proto__": {"x": 1}, "y": 2}'),
};

for (const [name, value] of Object.entries(values)) {
  let text = null;
  try {
    text = JSON.stringify([value]);
  } catch {
    // cyclic, or a BigInt
  }
  try {
    process.send({ name, text, value });
  } catch {
    process.send({ name, text: null, value: null });
  }
}
process.on("message", (message) => process.send({ echo: JSON.stringify(message), message }));
process.send({ name: "done" });
