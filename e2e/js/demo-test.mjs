// demo-test.mjs URL: joins clients through a balancer until two hosts have some, says something and sees it arrive at every
// client on both hosts. Exits 0 when it did, 1 with a reason when not.
import { io } from "socket.io-client";

const [url] = process.argv.slice(2);
const deadline = setTimeout(() => fail("it took more than 120 s"), 120_000);
const clients = [];

function fail(why) {
  console.error(`demo-test: ${why}`);
  process.exit(1);
}

// join waits for a connection for as long as it takes the services to come up.
async function join(options) {
  const socket = io(url, { forceNew: true, reconnectionDelayMax: 1000, ...options });
  await new Promise((done) => socket.once("connect", done));
  return { socket, ...(await socket.timeout(20_000).emitWithAck("whoami")) };
}

const hosts = () => new Set(clients.map((c) => c.host));
for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  for (let i = 0; i < 4; i++) clients.push(await join({ transports }));
}
while (hosts().size < 2) {
  if (clients.length >= 60) fail(`after ${clients.length} clients all are on ${[...hosts()]}`);
  clients.push(await join({}));
}

const word = `hello ${Math.random()}`;
const heard = clients.map(({ socket, host }) => new Promise((done) => socket.on("said", ({ msg }) => msg === word && done(host))));
const answer = await clients[0].socket.timeout(20_000).emitWithAck("say", { msg: word });
if (answer !== "ok") fail(`say was answered ${JSON.stringify(answer)}`);
const by = await Promise.all(heard);
const workers = await clients[0].socket.timeout(20_000).emitWithAck("workers");
const count = await clients[0].socket.timeout(20_000).emitWithAck("count");
if (count !== clients.length) fail(`${count} sockets are counted, not ${clients.length}`);
for (const { socket } of clients) socket.disconnect();
clearTimeout(deadline);
const per = [...hosts()].sort().map((h) => `${by.filter((b) => b === h).length} on ${h}`);
console.log(`demo-test: ${clients.length} clients heard it: ${per.join(", ")}; ${workers.length} workers`);
