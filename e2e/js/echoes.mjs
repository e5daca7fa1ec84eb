// Official clients, every other of which polls, that ask for an echo again and again: node echoes.mjs URL CLIENTS MILLISECONDS.
// They begin when all are connected ("ready"). After the end of the input, and when each was moved, the last line tells what happened.
import { io } from "socket.io-client";

const [url, clients, every] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const seen = { answered: 0, cut: 0, moved: 0, failures: {} };
const fail = (what) => (seen.failures[what] = (seen.failures[what] ?? 0) + 1);

const sockets = Array.from({ length: clients }, (_, i) => {
  const transport = ["polling", "websocket"][i % 2];
  const socket = io(url, { transports: [transport], forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1000 });
  socket.on("disconnect", (reason, details) => {
    if (reason === "transport close") seen.moved++;
    else if (reason !== "io client disconnect") fail(`${transport} session ended by a ${reason}: ${details?.description ?? ""}`);
  });
  socket.on("connect_error", (e) => fail(`no connection by ${transport}: ${e.message}`));
  return socket;
});

async function ask(socket) {
  if (!socket.connected) return;
  try {
    const answer = await socket.timeout(30_000).emitWithAck("echo", "hello");
    if (answer === "hello") seen.answered++;
    else fail(`echo of ${answer}`);
  } catch (e) {
    if (e.message.includes("timed out")) fail("echo without an answer");
    else seen.cut++;
  }
}

await Promise.all(sockets.map((s) => new Promise((done) => s.once("connect", done))));
for (const s of sockets) setInterval(ask, every, s);
console.log("ready");
process.stdin.on("end", async () => {
  for (let i = 0; i < 600 && seen.moved < clients; i++) await new Promise((done) => setTimeout(done, 100));
  console.log(JSON.stringify(seen));
  process.exit(0);
}).resume();
