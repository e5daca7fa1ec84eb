// An app with namespaces of all kinds: two with middlewares of their own, those of an expression and those of a function. Two
// copies of the package, of different versions, each serve one port of PORTS.
"use strict";
const { createServer } = require("http");

function serve({ Server }, port) {
  const server = createServer();
  const io = new Server(server);
  const served = (nsp) =>
    nsp.on("connection", (socket) => {
      socket.on("whoami", (ack) => ack({ pid: process.pid }));
      socket.on("say", (text) => socket.nsp.emit("said", text));
      socket.on("others", (text) => socket.broadcast.emit("said", text));
      socket.on("count", async (ack) => ack((await socket.nsp.fetchSockets()).length));
      socket.on("adapter", (ack) => ack(socket.nsp.adapter.constructor.name));
    });
  const named = (name) => (socket, next) => (socket.handshake.auth.token === name ? next() : next(new Error(`not for ${name}`)));
  served(io);
  served(io.of("/staff").use(named("staff")));
  served(io.of("/press").use(named("press")));
  served(io.of(/^\/tenant-\d+$/));
  served(io.of((name, auth, next) => next(null, name.startsWith("/made-"))));
  server.listen(Number(port), "127.0.0.1");
}

const [one, two] = process.env.PORTS.split(",");
serve(require("socket.io"), one);
serve(require("socket.io-4.4"), two);
