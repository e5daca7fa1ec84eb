// A server with metrics of prom-client. REGISTRY=own has a registry of its own beside the default one, as an app in Node's
// cluster would; FAIL has a metric that can't be collected. It greets each client with three events.
const { createServer } = require("http");
const { Server } = require(process.env.SOCKETIO || "socket.io");
const prom = require("prom-client");

prom.collectDefaultMetrics();
const orders = new prom.Counter({ name: "shop_orders_total", help: "Orders, by kind.", labelNames: ["kind", "process"] });
orders.inc({ kind: "té\n\"", process: "somebody else" }, 3);
const size = new prom.Histogram({ name: "shop_order_size", help: "Sizes.", buckets: [1, 5], labelNames: ["kind"] });
for (const n of [0.5, 3, 7]) size.observe({ kind: "tea" }, n);
const time = new prom.Summary({ name: "shop_seconds", help: "Times.", percentiles: [0.5] });
time.observe(2);
new prom.Gauge({ name: "sidereal_redis_up", help: "Not theirs to say." }).set(0);
if (process.env.REGISTRY) {
  const own = new prom.Registry();
  new prom.Gauge({ name: "shop_open", help: "Open.", registers: [own] }).set(1);
  prom.AggregatorRegistry.setRegistries([prom.register, own]);
  new prom.AggregatorRegistry();
}
if (process.env.FAIL) {
  const collect = { throw: () => Promise.reject(new Error("no")), hang: () => new Promise(() => {}) }[process.env.FAIL];
  new prom.Gauge({ name: "shop_broken", help: "Broken.", collect });
}
process.on("message", (message) => {
  throw new Error(`the app heard ${JSON.stringify(message)}`);
});

const httpServer = createServer();
const io = new Server(httpServer);
io.on("connection", (socket) => {
  socket.on("hello", (done) => {
    socket.emit("one", Buffer.from("x"));
    io.emit("two");
    socket.emit("three");
    done();
  });
});
httpServer.listen(Number(process.env.PORT));
