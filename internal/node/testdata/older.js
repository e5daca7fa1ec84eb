// An app with what all versions of Socket.IO have in common. SOCKETIO names the package, PORT is where it listens, and OPTIONS
// are the server's.
"use strict";
const { createServer } = require("http");
const { Server } = require(process.env.SOCKETIO);

const server = createServer();
const io = new Server(server, JSON.parse(process.env.OPTIONS || "{}"));
const ids = async (to) => (to.fetchSockets ? (await to.fetchSockets()).map((s) => s.id) : [...(await to.allSockets())]);
io.on("connection", (socket) => {
  socket.on("whoami", (ack) => ack({ pid: process.pid }));
  socket.on("join", (room, ack) => ack(socket.join(room)));
  socket.on("say", (room, ...args) => (room === null ? io : io.to(room)).emit("said", ...args));
  socket.on("others", (...args) => socket.broadcast.emit("said", ...args));
  socket.on("ids", async (room, ack) => ack((await ids(room === null ? io : io.in(room))).sort()));
  socket.on("servers", (ack) => (io.serverSideEmit ? io.serverSideEmit("pid", (err, answers) => ack(err ? err.message : answers)) : ack([1])));
  socket.on("joinAll", (room, ack) => ack(io.socketsJoin ? io.socketsJoin(room) : socket.join(room)));
});
io.on("pid", (ack) => typeof ack === "function" && ack(process.pid));
server.listen(Number(process.env.PORT));
