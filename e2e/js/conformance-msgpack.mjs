// Checks of a server with the msgpack parser, with the official client and socket.io-msgpack-parser: echo answers with
// its arguments, all broadcasts them, date answers with a date's text.
import parser from "socket.io-msgpack-parser";
import { check, equal } from "./conformance-kit.mjs";

export default function add(t) {
  const values = [
    ["text", "ü€😀", 1, -1, 300, -70000, 2 ** 40, 1.5, -0.25, null, true, false, "x".repeat(70000)],
    [{ a: [1, { b: null }], "": "empty" }, [], {}, Array.from({ length: 100 }, (_, i) => i)],
    [Buffer.from([1, 2, 3]), { deep: [Buffer.alloc(0), Buffer.alloc(70000, 1)] }],
  ];
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    for (const [i, args] of values.entries()) {
      check(`msgpack over ${transports}: values ${i}`, async () => {
        const c = t.client("/", { transports, parser });
        await c.connected();
        equal(await c.ask("echo", ...args), args);
        const [a, b] = await Promise.all([c.once("all"), c.socket.emit("all", ...args)]);
        equal(a, args);
        c.close();
      });
    }
  }
  check("msgpack: dates arrive as their text, undefined as null", async () => {
    const c = t.client("/", { parser });
    await c.connected();
    equal(await c.ask("echo", new Date(1763629200125), new Date(0), undefined), ["2025-11-20T09:00:00.125Z", "1970-01-01T00:00:00.000Z", null]);
    c.close();
  });
  check("msgpack: auth, refusals and namespaces", async () => {
    const c = t.client("/auth", { parser, auth: { token: "x" } });
    equal((await c.once("connect_error"))[0].message, "token x");
    c.close();
  });
  check("msgpack: the server's question", async () => {
    const c = t.client("/", { parser });
    await c.connected();
    c.socket.on("question", (bytes, answer) => answer({ got: bytes }));
    equal(await c.ask("ask", Buffer.from([7])), { got: Buffer.from([7]) });
    c.close();
  });
}
