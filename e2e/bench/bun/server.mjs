// Socket.IO on Bun's own engine, with the demo app's events, for e2e/bench.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";
import { serve } from "../../js/bench-events.mjs";

const io = new Server();
const engine = new Engine({ path: "/socket.io/" });
io.bind(engine);

serve(io);

process.on("SIGTERM", () => process.exit());
Bun.serve({ port: Number(process.env.BENCH_PORT), hostname: "127.0.0.1", ...engine.handler() });
