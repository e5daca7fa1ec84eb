// An app of the script beside it. It has PM2 itself in node_modules, and must talk to its own manager.
const pm2 = require("pm2");
const say = (type, data) => process.send({ type, data });
process.on("message", (packet) => {
  if (packet.data.crash) process.exit(3);
  process.send({ hello: 1 });
  pm2.list((err, all) => say("answer", { packet, err: String(err), mine: all.some((p) => p.pm2_env.unique_id === process.env.unique_id) }));
});
process.on("SIGUSR2", () => say("signalled", true));
console.log("out here");
console.error("err here");
setInterval(() => {}, 1000);
