// The worker of the @socket.io/pm2 documentation. Nothing in it knows of Sidereal.
const { createServer } = require("http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/cluster-adapter");
const { setupWorker } = require("@socket.io/sticky");

const httpServer = createServer((req, res) => {
  res.end("a worker: " + process.pid + "\n");
});
const io = new Server(httpServer);

io.adapter(createAdapter());
setupWorker(io);

io.on("connection", (socket) => {
  socket.on("say", (text) => {
    io.emit("said", { text, by: process.pid });
  });
  socket.on("who", async (ack) => {
    const sockets = await io.fetchSockets();
    const workers = await io.serverSideEmitWithAck("pid");
    ack({ clients: sockets.length, workers: [process.pid, ...workers] });
  });
});

io.on("pid", (ack) => ack(process.pid));
