// Writes what no Node would to its channel: MODE says what.
const fs = require("fs");
const fd = Number(process.env.SECOND_FD);
const frame = (...bytes) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return Buffer.concat([head, Buffer.from(bytes)]);
};
const writeAll = (buffer) => {
  for (let at = 0; at < buffer.length; ) {
    try {
      at += fs.writeSync(fd, buffer, at);
    } catch (e) {
      if (e.code !== "EAGAIN") process.exit(3);
    }
  }
};
const modes = {
  malformed: () => {
    writeAll(frame(1, 2, 3));
    writeAll(frame());
    for (let i = 0; i < 1000; i++) writeAll(frame(0xff, 15, ...Array.from({ length: i % 50 }, (_, j) => (i * 31 + j * 17) % 256)));
    process.send("ready");
  },
  deep: () => {
    writeAll(frame(0xff, 15, ...Array(100_000).fill(0x6f)));
    let deep = {};
    for (let i = 0; i < 200; i++) deep = { source: "_sio_adapter", nsp: "/", uid: "u", type: 3, data: { packet: { data: [deep] } } };
    process.send(deep, () => {});
    const loop = { source: "_sio_adapter", nsp: "/", uid: "u", type: 3 };
    loop.data = { packet: { data: [loop] }, opts: { rooms: [loop] } };
    process.send(loop, () => {});
    process.send("ready");
  },
  huge: () => {
    const head = Buffer.from([0xff, 0xff, 0xff, 0xff]);
    writeAll(head);
    const chunk = Buffer.alloc(1 << 16, 0x41);
    for (;;) writeAll(chunk);
  },
  endless: () => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(60 << 20);
    writeAll(head); // and nothing
  },
};
modes[process.env.MODE]();
setInterval(() => {}, 1000);
