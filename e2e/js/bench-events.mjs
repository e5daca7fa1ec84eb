// The demo app's events, for the servers of e2e/bench that run on Node and on Bun.
export function serve(io) {
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
    socket.on("publish", (n, ack) => {
      for (let i = 0; i < n; i++) io.to("elsewhere").emit("said", { msg: "x".repeat(128) });
      ack?.();
    });
    socket.on("burst", (n, ack) => {
      for (let i = 0; i < n; i++) socket.emit("n", i);
      ack?.();
    });
  });
}
