// node conformance-reference.mjs APP PORT [PING-INTERVAL PING-TIMEOUT CONNECT-TIMEOUT]: the apps of e2e/conformance on Node's own servers, to check the checks.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { Server as Engine } from "engine.io";

const [app, port, pingInterval = 300, pingTimeout = 200, connectTimeout = 1000] = process.argv.slice(2);

// writable tells whether a session of the protocol app has a poll that waits.
let writable = () => false;

const apps = {
  protocol(http) {
    const options = { pingInterval: Number(pingInterval), pingTimeout: Number(pingTimeout), maxHttpBufferSize: 1e6, cors: { origin: "*" } };
    const engine = new Engine(options);
    engine.on("connection", (s) => s.on("message", (data) => s.send(data)));
    const io = new Server(http, { ...options, connectTimeout: Number(connectTimeout) });
    engine.attach(http, { path: "/engine.io/", destroyUpgrade: false });
    writable = (sid) => engine.clients[sid]?.transport.writable ?? false;
    const greet = (s) => s.emit("auth", s.handshake.auth);
    io.on("connection", (s) => {
      greet(s);
      s.on("message", (...args) => s.emit("message-back", ...args));
      s.on("message-with-ack", (...args) => args.pop()(...args));
    });
    io.of("/custom").on("connection", greet);
  },

  client(http) {
    const io = new Server(http, {
      pingInterval: 2000, connectionStateRecovery: {}, allowRequest: (req, done) => setTimeout(() => done(null, true), 10),
    });
    io.use((s, next) => next("fail" in s.handshake.query ? new Error("Auth failed (main namespace)") : undefined));
    for (const name of ["/timeout_socket", "/valid", "/asd"]) io.of(name);
    io.of("/foo").on("connection", (s) => s.on("getId", (ack) => ack(s.id)));
    io.of("/abc").on("connection", (s) => s.emit("handshake", s.handshake));
    io.of("/no").use((s, next) => next(new Error("Auth failed (custom namespace)")));
    io.on("connection", (s) => {
      const bytes = Buffer.from("asdfasdf");
      let seen = false;
      s.on("hi", () => s.emit("hi"));
      s.on("echo", (x, ack) => ack(x));
      s.on("ack", () => s.emit("ack", (n, o) => { if (n === 5 && o?.test) s.emit("got it"); }));
      s.on("getId", (ack) => ack(s.id));
      s.on("getHandshake", (ack) => ack(s.handshake));
      s.on("getAckDate", (x, ack) => ack(new Date()));
      s.on("getDate", () => s.emit("takeDate", new Date()));
      s.on("getDateObj", () => s.emit("takeDateObj", { date: new Date() }));
      s.on("getUtf8", () => {
        for (const t of ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]) s.emit("takeUtf8", t);
      });
      s.on("false", () => s.emit("false", false));
      s.on("doge", () => s.emit("doge", bytes));
      s.on("getbin", () => s.emit("takebin", bytes));
      s.on("buffa", (b) => { if (Buffer.isBuffer(b)) s.emit("buffack"); });
      s.on("jsonbuff", (o) => {
        if (o.hello === "lol" && Buffer.isBuffer(o.message) && o.goodbye === "gotcha") s.emit("jsonbuff-ack");
      });
      s.on("abuff1", (b) => { seen = Buffer.isBuffer(b); });
      s.on("abuff2", () => { if (seen) s.emit("abuff2-ack"); });
    });
  },

  edge(http) {
    const io = new Server(http, {
      connectTimeout: 3000, upgradeTimeout: 3000, maxHttpBufferSize: 100000, cleanupEmptyChildNamespaces: true,
      cookie: { name: "edge", path: "/x", sameSite: "strict" }, cors: { origin: "http://allowed.example", credentials: true },
      allowRequest(req, done) {
        const reject = req.headers["x-reject"];
        if (!reject) done(null, true);
        else if (reject === "plain") done(null, false);
        else done(reject, false);
      },
    });
    let refused = [];
    const reasons = {};
    io.engine.on("initial_headers", (headers) => { headers["x-initial"] = "1"; });
    io.engine.on("headers", (headers) => { headers["x-every"] = "1"; });
    io.engine.on("connection_error", ({ code, message, context }) => refused.push({ code, message, context }));
    const record = (nsp) => nsp.on("connection", (s) => s.on("disconnect", (reason) => { reasons[s.id] = reason; }));
    io.of("/mw").use((s, next) => {
      if (s.handshake.auth.token === "ok") return next();
      const e = new Error("not authorized");
      if (s.handshake.auth.data) e.data = { content: "retry" };
      next(e);
    });
    io.of("/custom").on("connection", (s) => s.on("echo", (...a) => s.emit("echo", ...a)));
    const dynamic = io.of(/^\/dyn-\d+$/).on("connection", (s) => s.emit("nsp", s.nsp.name));
    for (const nsp of [io.of("/"), io.of("/mw"), io.of("/custom"), dynamic]) record(nsp);
    const some = (x) => (x === undefined ? [] : [].concat(x));
    io.on("connection", (s) => {
      s.use(([event], next) => next(event === "blocked" ? new Error("blocked event") : undefined));
      s.on("error", (e) => s.emit("errored", e.message));
      s.on("echo", (...a) => {
        if (typeof a.at(-1) === "function") a.pop()(...a);
        else s.emit("echo", ...a);
      });
      s.on("ack-twice", (cb) => { cb(1); cb(2); s.emit("after"); });
      s.on("ask", (ms) => s.timeout(ms).emit("question", 1, (e, v) => s.emit("answer", e ? e.message : null, v)));
      s.on("bin", () => s.emit("bin", Buffer.from([1, 2]), { a: [Buffer.from([3])], b: null, d: new Date(0) }));
      s.on("burst", (n) => { for (let i = 0; i < n; i++) s.emit("n", i); });
      s.on("volatile", (n) => { for (let i = 0; i < n; i++) s.volatile.emit("v", i); s.emit("end"); });
      s.on("big", (n) => s.emit("big", "x".repeat(n)));
      s.on("join", (room, cb) => { s.join(room); cb([...s.rooms]); });
      s.on("leave", (room, cb) => { s.leave(room); cb([...s.rooms]); });
      s.on("bcast", ({ self, to, except }, event, ...a) => {
        let all = self ? io.of("/").except([]) : s.broadcast;
        for (const room of some(to)) all = all.to(room);
        for (const room of some(except)) all = all.except(room);
        all.emit(event, ...a);
      });
      s.on("bcast-ack", (room, ms, cb) => io.to(room).timeout(ms).emit("q", (e, list) => cb(e ? e.message : null, list)));
      s.on("fetch", async (room, cb) => cb((await io.in(room).fetchSockets()).map((x) => x.id)));
      s.on("kick", (room, close) => io.in(room).disconnectSockets(close));
      s.on("bye", (close) => s.disconnect(close));
      s.on("eclose", () => s.conn.close());
      s.on("take-reason", (id, cb) => { cb(reasons[id] ?? null); delete reasons[id]; });
      s.on("writable", (id, cb) => cb(io.of("/").sockets.get(id)?.conn.transport.writable ?? false));
      s.on("errors", (cb) => { cb(refused); refused = []; });
      s.on("has-nsp", (name, cb) => cb(io._nsps.has(name)));
    });

    const csr = new Server({ path: "/csr/", connectionStateRecovery: { maxDisconnectionDuration: 5000 } });
    csr.attach(http, { path: "/csr/", destroyUpgrade: false });
    record(csr.of("/"));
    csr.use((s, next) => next(s.handshake.auth.deny ? new Error("denied") : undefined));
    csr.on("connection", (s) => {
      if (s.recovered) s.emit("recovered", s.data.v, [...s.rooms].sort());
      s.on("set", (v, room, cb) => { s.data.v = v; s.join(room); cb(); });
      s.on("hi", () => s.emit("hi"));
      s.on("ask", () => s.emit("question", () => {}));
      s.on("vol", () => s.volatile.emit("vol"));
      s.on("bcast", (room, ...a) => s.to(room).emit(...a));
      s.on("bye", () => s.disconnect());
    });
  },
};

const http = createServer((req, res) => {
  const [path, sid] = req.url.split("?");
  if (path === "/writable") return res.end(String(writable(sid)));
  res.writeHead(404);
  res.end();
});
apps[app](http);
http.listen(Number(port), "127.0.0.1", () => console.log("ready"));
