// A process with several Socket.IO servers that choose no adapter: two at ports of their own, one whose adapter the app sets
// later, and one of another copy of the package. CASE names what the app does beside that.
"use strict";
const { createServer } = require("http");
const { Server } = require("socket.io");
const { Adapter } = require("socket.io-adapter");

class Own extends Adapter {}

const serve = (io, port) => {
  io.on("connection", (socket) => {
    socket.on("whoami", (ack) => ack({ pid: process.pid }));
    socket.on("say", (text) => io.emit("said", text));
    socket.on("servers", async (ack) => ack(await io.of("/").adapter.serverCount()));
    socket.on("adapter", (ack) => ack(io.of("/").adapter.constructor.name));
    socket.on("lose", (ack) => {
      try {
        io.emit("said", process.env.CASE === "size" ? Buffer.alloc(49 << 20) : 1n);
      } catch (e) {
        return ack(e.constructor.name);
      }
      ack("sent");
    });
  });
  io.httpServer.listen(Number(port), "127.0.0.1");
};
const [one, two, three] = process.env.PORTS.split(",");
serve(new Server(createServer()), one);
serve(new Server(createServer()), two);
const own = new Server(createServer());
setTimeout(() => own.adapter(Own), 20); // after a connection to something, say
serve(own, three);
