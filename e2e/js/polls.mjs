// Official clients that poll: node polls.mjs URL CLIENTS MILLISECONDS. Each asks for an echo again and again, without waiting for
// the one before, and listens to a speaker who counts. They begin when all are connected ("ready"), and print "round" whenever each has
// asked since the last round and been answered. After the end of the input and the speaker's last word, the last line tells what
// happened.
import { io } from "socket.io-client";

const [url, clients, every] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const seen = { asked: 0, answered: 0, said: 0, ended: 0, failures: {} };
const fail = (what) => (seen.failures[what] = (seen.failures[what] ?? 0) + 1);

let stopped = false;
const sockets = Array.from({ length: clients }, () => {
  const socket = io(url, { transports: ["polling"], forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1000, rejectUnauthorized: false });
  let asked = 0, answered = 0, heard; // in this session
  let first = 0; // question of this round
  socket.begin = () => (first = asked);
  socket.isThrough = () => answered > first;
  socket.over = new Promise((done) => {
    socket.on("said", ({ msg }) => {
      if (msg === "end") return done();
      if (heard !== undefined && msg !== heard + 1) fail(msg > heard ? "lost or out of order" : "twice or out of order");
      heard = msg;
      seen.said++;
    });
  });
  socket.on("connect", () => ([asked, answered, first, heard] = [0, 0, 0, undefined]));
  socket.on("disconnect", (reason, details) => {
    if (reason === "io client disconnect") return;
    seen.ended++;
    console.error(`session ended: ${reason} ${details?.message ?? ""} ${details?.description ?? ""}`);
  });
  socket.on("connect_error", (e) => console.error(`no connection: ${e.message}`));
  socket.ask = () => {
    if (!socket.connected || stopped) return;
    const [id, number] = [socket.id, asked++];
    seen.asked++;
    socket.emit("echo", number, (answer) => {
      if (socket.id !== id) return; // of the session before
      if (answer !== number || number !== answered) fail(number > answered ? "answer lost or out of order" : "answer twice or out of order");
      answered = number + 1;
      seen.answered++;
      if (sockets.every((s) => s.isThrough())) {
        console.log("round");
        for (const s of sockets) s.begin();
      }
    });
  };
  socket.isDone = () => answered === asked;
  return socket;
});

await Promise.all(sockets.map((s) => new Promise((done) => s.once("connect", done))));
for (const s of sockets) setInterval(s.ask, every);
console.log("ready");
process.stdin.on("end", async () => {
  stopped = true;
  await Promise.all(sockets.map((s) => s.over));
  for (let i = 0; i < 600 && !sockets.every((s) => s.isDone()); i++) await new Promise((done) => setTimeout(done, 100));
  if (!sockets.every((s) => s.isDone())) fail("answers never came");
  console.log(JSON.stringify(seen));
  process.exit(0);
}).resume();
