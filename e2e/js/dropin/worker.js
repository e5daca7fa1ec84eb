// A worker as the documentation of @socket.io/pm2 shows it: the server never listens, and every line is of the official
// packages. The events are for the test.
const { createServer } = require("http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/cluster-adapter");
const { setupWorker } = require("@socket.io/sticky");

const httpServer = createServer();
const io = new Server(httpServer, { maxHttpBufferSize: 1e6 });

io.adapter(createAdapter());

setupWorker(io);

io.on("servers", (ack) => ack(process.pid));

io.on("connection", (socket) => {
  socket.on("whoami", (ack) => ack({ pid: process.pid, instance: process.env.NODE_APP_INSTANCE, stage: process.env.STAGE }));
  socket.on("echo", (...args) => args.pop()(...args));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack("ok");
  });
  socket.on("say", (to, text) => (to ? io.to(to) : io).emit("said", text));
  socket.on("count", async (ack) => ack((await io.fetchSockets()).length));
  socket.on("others", (ack) => io.serverSideEmit("servers", (err, pids) => ack(err ? String(err) : pids)));
});

console.log(`worker ${process.env.NODE_APP_INSTANCE} is up`);
