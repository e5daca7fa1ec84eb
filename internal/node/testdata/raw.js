// An app with servers that no router can serve: one that echoes with its pid in front, and one with a TLS of its own.
// RAW_PORT and TLS_PORT are where; MOST is how many connections the first takes at a time.
const net = require("net");
const https = require("https");
const fs = require("fs");

const echo = net.createServer((socket) => {
  socket.write(`${process.pid} `);
  socket.on("error", () => {});
  socket.pipe(socket);
});
if (process.env.MOST) echo.maxConnections = Number(process.env.MOST);
echo.on("error", (e) => process.send({ cmd: "error", code: e.code }));
const tls = https.createServer({ cert: fs.readFileSync(process.env.CERT), key: fs.readFileSync(process.env.KEY) });
require("./app.js")(new (require("socket.io").Server)(tls), { pid: process.pid });
echo.listen(Number(process.env.RAW_PORT), "127.0.0.1", () => tls.listen(Number(process.env.TLS_PORT), "127.0.0.1"));
process.on("message", (message) => {
  if (message === "close") echo.close();
});
