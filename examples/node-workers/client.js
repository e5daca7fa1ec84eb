// Says something from one client and hears it at ten others, whatever worker they are at: node client.js [URL]...
const { io } = require("socket.io-client");

const urls = process.argv.slice(2);
if (urls.length === 0) urls.push("http://127.0.0.1:8080");
const clients = Array.from({ length: 10 }, (_, i) => io(urls[i % urls.length], { transports: i % 2 ? ["websocket"] : ["polling"] }));

(async () => {
  await Promise.all(clients.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
  const heard = Promise.all(clients.map((socket) => new Promise((resolve) => socket.once("said", resolve))));
  clients[0].emit("say", "hello");
  const all = await heard;
  const { clients: count, workers } = await clients[9].emitWithAck("who");
  console.log(`${all.length} clients heard "${all[0].text}"; ${count} clients at ${workers.length} workers: ${workers.join(", ")}`);
  clients.forEach((socket) => socket.close());
})();
