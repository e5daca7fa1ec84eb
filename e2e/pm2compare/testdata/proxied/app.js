// Says whom Express takes for the client: each path has another setting of trust proxy.
"use strict";
const express = require(process.env.EXPRESS);
const apps = {};
for (const trust of [1, 2, "loopback", true]) {
  const app = express();
  app.set("trust proxy", trust);
  app.get("/:trust", (req, res) => {
    const seen = { ip: req.ip, protocol: req.protocol, secure: req.secure, real: req.headers["x-real-ip"] };
    if (trust !== "loopback") Object.assign(seen, { ips: req.ips, host: req.hostname }); // the socket is the client's, not the proxy's
    res.json(seen);
  });
  apps[`/${trust}`] = app;
}
const [host, port] = process.env.APP_ADDR.split(":");
require("http").createServer((req, res) => apps[req.url](req, res)).listen(Number(port), host);
