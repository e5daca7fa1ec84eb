// A server of its own, linked to the others by @socket.io/redis-adapter. Prints its port.
const { createServer } = require("http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");

(async () => {
  const pub = createClient({ url: process.env.REDIS_URL });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  const httpServer = createServer();
  const io = new Server(httpServer, { adapter: createAdapter(pub, sub) });
  require("./app.js")(io, { pid: process.pid, worker: 0 });
  httpServer.listen(0, "127.0.0.1", () => console.log(httpServer.address().port));
})();
