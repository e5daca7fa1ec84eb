// An ES module that tells the two halves of a cluster apart itself, as the adapter's documentation shows.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/cluster-adapter");
const { setupWorker } = require("@socket.io/sticky");

if (cluster.isPrimary) {
  console.error("runs as the primary");
  process.exit(1);
}
await new Promise((resolve) => setTimeout(resolve, 20));
const httpServer = createServer();
const io = new Server(httpServer);
io.adapter(createAdapter());
setupWorker(io);
require("./app.js")(io, { pid: process.pid, worker: cluster.worker.id });
