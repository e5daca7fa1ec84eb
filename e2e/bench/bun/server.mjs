// Socket.IO on Bun's own engine, with the demo app's events, for e2e/bench.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";

const io = new Server();
const engine = new Engine({ path: "/socket.io/" });
io.bind(engine);

const worker = String(process.pid);
io.on("connection", (socket) => {
  socket.on("echo", (...args) => {
    if (typeof args.at(-1) === "function") args.pop()(...args);
    else socket.emit("echo", ...args);
  });
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack("ok");
  });
  socket.on("say", (m, ack) => {
    (m.room ? io.to(m.room) : io).emit("said", { ...m, from: socket.id, worker });
    ack?.("ok");
  });
  socket.on("burst", (n, ack) => {
    for (let i = 0; i < n; i++) socket.emit("n", i);
    ack?.();
  });
});

process.on("SIGTERM", () => process.exit());
Bun.serve({ port: Number(process.env.BENCH_PORT), hostname: "127.0.0.1", ...engine.handler() });
