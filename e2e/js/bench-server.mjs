// The npm server with the demo app's events, for e2e/bench: alone, or with the Redis adapter when REDIS_URL is set.
import { createServer } from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Server } from "socket.io";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { serve } from "./bench-events.mjs";

const http = createServer();
const options = { perMessageDeflate: process.env.BENCH_DEFLATE ? {} : false };
if (process.env.BENCH_QUIET) options.pingInterval = 3_600_000;
const io = new Server(http, options);

if (process.env.REDIS_URL) {
  const pub = createClient({ url: process.env.REDIS_URL });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  io.adapter(createAdapter(pub, sub));
}

serve(io);

// Memory is measured twice: as it is, and after a collection that this signal asks for.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
process.on("SIGUSR2", () => collect());
process.on("SIGTERM", () => process.exit());

http.listen(Number(process.env.BENCH_PORT), "127.0.0.1");
