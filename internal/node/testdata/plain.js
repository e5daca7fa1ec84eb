// An app that knows of nothing: it listens. PORTS are where; MODE adds manners of other supervisors.
const http = require("http");
const cluster = require("cluster");

const server = (name) => http.createServer((req, res) => res.end(`${name} ${process.pid} ${req.socket.remoteAddress}`));
for (const port of (process.env.PORTS || "").split(",").filter(Boolean)) {
  const s = server(port);
  s.on("error", (e) => process.send({ cmd: "error", code: e.code, port }));
  s.listen(/^\d+$/.test(port) ? Number(port) : port, /^\d+$/.test(port) ? "127.0.0.1" : undefined, () => {
    const at = s.address();
    process.send({ listening: at });
  });
}
const mode = process.env.MODE || "";
if (mode.includes("ready")) setTimeout(() => process.send("ready"), 50);
if (mode === "cmd") process.send({ cmd: "ready" });
if (mode.includes("recluster")) process.send({ cmd: "disconnect" });
process.on("message", (message) => {
  if (message === "shutdown") process.exit(7);
  if (message.cmd === "disconnect") process.exit(8);
});
if (cluster.worker) process.send({ id: cluster.worker.id });
