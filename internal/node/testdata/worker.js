// A worker as the documentation of @socket.io/pm2 shows it: its server never listens. STICKY and ADAPTER name the packages;
// with PORT it listens instead of using sticky, with READY it says that it is ready. SOCKETIO is another version's name.
const { createServer } = require("http");
const cluster = require("cluster");
const { Server } = require(process.env.SOCKETIO || "socket.io");

const httpServer = createServer((req, res) => {
  if (req.url === "/big") {
    let size = 0;
    req.on("data", (chunk) => (size += chunk.length));
    req.on("end", () => res.end(String(size)));
    return;
  }
  res.end(JSON.stringify({ pid: process.pid, address: req.socket.remoteAddress, headers: req.headers, encrypted: !!req.socket.encrypted }));
});
const io = new Server(httpServer, { maxHttpBufferSize: 1e7 });
if (process.env.ADAPTER) io.adapter(require(process.env.ADAPTER).createAdapter());

require("./app.js")(io, { pid: process.pid, worker: cluster.worker && cluster.worker.id });

if (process.env.PORT) httpServer.listen(Number(process.env.PORT), process.env.ADDRESS);
else require(process.env.STICKY || "@socket.io/sticky").setupWorker(io);
if (process.env.READY) process.send("ready");
