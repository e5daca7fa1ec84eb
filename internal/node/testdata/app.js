// What the tests ask of any server.
module.exports = (io, self) => {
  const answering = (fn) => async (...args) => {
    const ack = args.pop();
    try {
      ack({ ok: await fn(...args) });
    } catch (e) {
      ack({ error: e.message });
    }
  };
  for (const nsp of [io.of("/"), io.of("/chat")]) {
    nsp.on("connection", (socket) => {
      socket.data.pid = self.pid;
      socket.on("echo", (...args) => args.pop()(...args));
      socket.on("whoami", (ack) => ack({ ...self, address: socket.handshake.address, transport: socket.conn.transport.name }));
      socket.on("join", (room, ack) => ack(socket.join(room)));
      socket.on("tell", (by, word, ack) => {
        nsp.emit("told", by, word);
        ack();
      });
      socket.on("say", (room, ...args) => (room === null ? nsp : nsp.to(room)).emit("said", ...args));
      socket.on("fetch", answering(async (room) => {
        const found = await (room === null ? nsp : nsp.in(room)).fetchSockets();
        return found.map((s) => ({ id: s.id, rooms: [...s.rooms], pid: s.data.pid, query: s.handshake.query.name })).sort((a, b) => (a.id < b.id ? -1 : 1));
      }));
      socket.on("servers", answering(() => nsp.serverSideEmitWithAck("who", { at: new Date(0), set: new Set([1]), bytes: Buffer.from("x") })));
      socket.on("ask", answering((room) => (room === null ? nsp : nsp.to(room)).timeout(8000).emitWithAck("question", Buffer.from("?"))));
      socket.on("askOne", answering((id) => nsp.to(id).timeout(8000).emitWithAck("question", 1)));
      socket.on("joinAll", (room, ack) => ack(nsp.socketsJoin(room)));
      socket.on("leaveAll", (room, ack) => ack(nsp.socketsLeave(room)));
      socket.on("kick", (room) => nsp.in(room).disconnectSockets());
      socket.on("count", answering(() => (nsp.adapter.serverCount ? nsp.adapter.serverCount() : 1)));
    });
    nsp.on("who", (arg, ack) => {
      if (ack) ack(`${self.pid} ${arg.set instanceof Set} ${Buffer.isBuffer(arg.bytes)}`);
    });
  }
};
