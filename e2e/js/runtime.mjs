// A Socket.IO server that Node, Bun and Deno run alike: each process has a PORT, and Redis carries rooms between them.
import { createServer } from "node:http";
import process from "node:process";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const server = createServer((req, res) => res.end(JSON.stringify({ pid: process.pid })));
const io = new Server(server);
if (process.env.REDIS_URL) {
  const pub = createClient({ url: process.env.REDIS_URL });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  io.adapter(createAdapter(pub, sub));
}
io.on("connection", (socket) => {
  socket.on("join", async (room, ack) => {
    await socket.join(room);
    ack(process.pid);
  });
  socket.on("say", (room, text) => io.to(room).emit("said", text));
});
server.listen(Number(process.env.PORT), "127.0.0.1", () => process.send?.("ready"));
process.on("SIGINT", () => process.exit());
