// An app that only listens, and notes the requests that it gets. UPGRADES says what it does with an upgrade: "none" has no
// listener, "refuse" answers 400, "accept" takes it and says everything back, "both" takes those of /ws and answers others.
const http = require("http");

const seen = [];
const parked = [];
const all = (value) => [].concat(value || []);
const note = ({ url, headers, socket }) => {
  seen.push({
    path: url, for: all(headers["x-forwarded-for"]), client: all(headers["sidereal-client"]), at: socket.remoteAddress,
    patient: Object.hasOwn(socket, "setTimeout"),
  });
};
const server = http.createServer((req, res) => {
  note(req);
  if (req.url === "/big") {
    res.writeHead(200, { "Content-Length": 1 << 22 });
    require("stream").Readable.from((function* () {
      for (let i = 0; i < 64; i++) yield Buffer.alloc(1 << 16, 0x61 + (i % 26));
    })()).pipe(res);
    return;
  }
  const answer = () => res.end(req.url === "/seen" ? JSON.stringify(seen) : req.url);
  if (req.url === "/parked") parked.push(answer);
  else answer();
  if (req.url === "/release") for (const answer of parked.splice(0)) answer();
});
const accept = (req, socket, head) => {
  note(req);
  socket.on("error", () => {}); // its client may have left
  socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  socket.write(head);
  socket.pipe(socket);
};
const refuse = (req, socket) => {
  note(req);
  socket.on("error", () => {});
  socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
};
const mode = process.env.UPGRADES || "none";
if (mode === "accept") server.on("upgrade", accept);
if (mode === "refuse") server.on("upgrade", refuse);
if (mode === "both") server.on("upgrade", (req, socket, head) => (req.url === "/ws" ? accept : refuse)(req, socket, head));
server.listen(Number(process.env.PORT), "127.0.0.1");
