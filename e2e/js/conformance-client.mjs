// Checks of the client app, with the official client: what its own tests ask of a server.
import { check, equal, matches, join } from "./conformance-kit.mjs";

const bytes = Buffer.from("asdfasdf");

// bare events carry nothing but the offset of connection state recovery.
function bare(args) {
  equal([args.length, typeof args[0]], [1, "string"]);
}

// cut drops the connection and waits for the next.
async function cut(c) {
  const gone = c.once("disconnect"), back = c.once("connect");
  c.socket.io.engine.close();
  await Promise.all([gone, back]);
}

export default function add(t) {
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    const at = `over ${transports.join("+")}`;
    const use = (name, namespace, run, options = {}) => check(`${name} ${at}`, async () => {
      const c = t.client(namespace, { transports, ...options });
      try {
        await run(c);
      } finally {
        c.close();
      }
    });
    use("hi", "/", async (c) => { await c.connected(); bare(await c.answer("hi", "hi")); });
    use("an event before the connection is sent after it", "/", async (c) => bare(await c.answer("hi", "hi")));
    use("echo", "/", async (c) => {
      for (const x of ["text", 1.5, null, false, { a: [1, { b: "ü€😀\u2028" }] }, [], {}]) equal(await c.ask("echo", x), x);
      equal(await c.ask("echo", bytes), bytes);
      equal(await c.ask("echo", { deep: [bytes] }), { deep: [bytes] });
    });
    use("the server's question", "/", async (c) => {
      c.socket.on("ack", (ack) => ack(5, { test: true }));
      bare(await c.answer("ack", "got it"));
    });
    use("ids", "/", async (c) => { await c.connected(); equal(await c.ask("getId"), c.socket.id); });
    use("dates", "/", async (c) => {
      const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
      matches(await c.ask("getAckDate", new Date()), iso);
      matches((await c.answer("getDate", "takeDate"))[0], iso);
      const [o] = await c.answer("getDateObj", "takeDateObj");
      equal(Object.keys(o), ["date"]);
      matches(o.date, iso);
    });
    use("utf8", "/", async (c) => {
      const got = [];
      c.socket.on("takeUtf8", (text) => got.push(text));
      c.socket.emit("getUtf8");
      await c.ask("echo", 1);
      while (got.length < 5) await c.once("takeUtf8");
      equal(got, ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]);
    });
    use("binary", "/", async (c) => {
      equal(await c.answer("doge", "doge").then((a) => a[0]), bytes);
      equal(await c.answer("getbin", "takebin").then((a) => a[0]), bytes);
      await c.answer("buffa", "buffack", bytes);
      await c.answer("jsonbuff", "jsonbuff-ack", { hello: "lol", message: bytes, goodbye: "gotcha" });
      c.socket.emit("abuff1", bytes);
      await c.answer("abuff2", "abuff2-ack");
      equal((await c.answer("false", "false"))[0], false);
    });
    use("unknown events are not answered", "/", async (c) => {
      await c.connected();
      for (const event of ["unknown", "event"]) {
        const late = await c.socket.timeout(100).emitWithAck(event).catch((e) => e.message);
        equal(late, "operation has timed out");
      }
    });
    use("the handshake", "/", async (c) => {
      const h = await c.ask("getHandshake");
      equal(Object.keys(h), ["headers", "time", "address", "xdomain", "secure", "issued", "url", "query", "auth"]);
      matches(h.time, /^[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT\+0000 \(Coordinated Universal Time\)$/);
      equal([h.xdomain, h.secure, h.auth, h.query.q, h.query.EIO, typeof h.issued], [false, false, { token: "x" }, "1", "4", "number"]);
      equal([h.headers.host, h.headers["x-own"]], [`127.0.0.1:${t.port}`, "y"]);
      matches(h.url, /^\/socket\.io\/\?/);
      matches(h.address, /127\.0\.0\.1$/);
    }, { auth: { token: "x" }, query: { q: "1" }, extraHeaders: { "x-own": "y" } });
    use("the handshake of a namespace", "/abc", async (c) => {
      const [h] = await c.once("handshake");
      equal(Object.keys(h), ["headers", "time", "address", "xdomain", "secure", "issued", "url", "query", "auth"]);
    });
    use("ids of a namespace", "/foo", async (c) => { await c.connected(); equal(await c.ask("getId"), c.socket.id); });
    use("a refused namespace", "/no", async (c) => equal((await c.once("connect_error"))[0].message, "Auth failed (custom namespace)"));
    use("a refusal by the query", "/", async (c) => equal((await c.once("connect_error"))[0].message, "Auth failed (main namespace)"), { query: { fail: "true" } });
    for (const name of ["/invalid", "/timeout"]) {
      use(`no namespace ${name}`, name, async (c) => equal((await c.once("connect_error"))[0].message, "Invalid namespace"));
    }
    for (const name of ["/timeout_socket", "/valid", "/asd"]) use(`namespace ${name}`, name, (c) => c.connected());
    use("recovery", "/", async (c) => {
      const socket = await c.connected();
      await c.answer("hi", "hi"); // for an offset
      const id = socket.id;
      await cut(c);
      equal([socket.id, socket.recovered], [id, true]);
    });
    use("no recovery without an offset", "/", async (c) => {
      const socket = await c.connected();
      await cut(c);
      equal(socket.recovered, false);
    });
    use("disconnect and connect again", "/", async (c) => {
      const socket = await c.connected();
      const gone = c.once("disconnect");
      socket.disconnect();
      equal((await gone)[0], "io client disconnect");
      socket.connect();
      await c.once("connect");
    });
  }
  check("the CONNECT packet names the pid", async () => {
    const s = await t.socket("/socket.io/");
    equal(Object.keys(await join(s)), ["sid", "pid"]);
    equal([s.open.pingInterval, s.open.pingTimeout], [2000, 20000]);
    s.close();
  });
  check("who is let in waits for it", async () => {
    const began = performance.now();
    await t.poll("/socket.io/");
    if (performance.now() - began < 9) throw new Error("at once");
  });
  check("namespaces share the connection", async () => {
    const main = t.client("/");
    await main.connected();
    const foo = main.socket.io.socket("/foo");
    await new Promise((done) => foo.on("connect", done));
    equal(await foo.emitWithAck("getId"), foo.id);
    foo.disconnect();
    equal(await main.ask("getId"), main.socket.id); // behind the disconnect
    equal(main.socket.connected, true);
    main.close();
  });
}
