// Official Socket.IO servers for the client's tests: one with defaults, one with recovery and short pings, one that allows deflate,
// one with the MessagePack parser.
// Prints their ports as one JSON line; ends with its input.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

function serve(options) {
  const http = createServer((request, response) => response.writeHead(404).end());
  const io = new Server(http, options);
  io.use((socket, next) => {
    if (socket.handshake.auth.refuse) return next(Object.assign(new Error("not you"), { data: { code: 7 } }));
    next();
  });
  io.on("connection", events);
  io.of("/admin").on("connection", events);
  return new Promise((done) => http.listen(0, "127.0.0.1", () => done(http.address().port)));
}

function events(socket) {
  socket.emit("hello", { auth: socket.handshake.auth, header: socket.handshake.headers["x-test"], query: socket.handshake.query.q, host: socket.handshake.headers.host });
  socket.on("echo", (...args) => (typeof args.at(-1) === "function" ? args.pop()(...args) : socket.emit("echo", ...args)));
  socket.on("ask", async (name, ...args) => {
    const ack = args.pop();
    ack(await socket.timeout(5000).emitWithAck(name, ...args));
  });
  socket.on("burst", (n) => { for (let i = 0; i < n; i++) socket.emit("n", i); });
  socket.on("silent", () => {});
  socket.on("flaky", (n, ack) => { socket.data.tries = (socket.data.tries ?? 0) + 1; if (socket.data.tries >= n) { ack(socket.data.tries); socket.data.tries = 0; } });
  socket.on("transport", (ack) => ack(socket.conn.transport.name));
  socket.on("deflate", (ack) => ack(String(socket.conn.transport.socket?.extensions)));
  socket.on("cut", () => (socket.conn.transport.socket ?? socket.conn).close());
  socket.on("drop", () => socket.conn.close());
  socket.on("kick", (close) => socket.disconnect(close));
  socket.on("join", (room, ack) => { socket.join(room); ack([...socket.rooms]); });
  socket.on("rooms", (ack) => ack([...socket.rooms]));
  socket.on("say", (room, ...args) => socket.nsp.to(room).emit("said", ...args));
  socket.on("disconnect", (reason) => last.set(socket.id, reason));
  socket.on("reason", (id, ack) => ack(last.get(id) ?? null));
}
const last = new Map();

Promise.all([
  serve({}),
  serve({ pingInterval: 100, pingTimeout: 2000, connectionStateRecovery: {} }),
  serve({ perMessageDeflate: { threshold: 16 } }),
  serve({ parser: require("socket.io-msgpack-parser") }),
]).then(([plain, recovery, deflate, msgpack]) => console.log(JSON.stringify({ plain, recovery, deflate, msgpack })));
process.stdin.resume().on("end", () => process.exit(0)).on("close", () => process.exit(0));
