"use strict";
// This script tells the node host how the process does: the delay of its event loop, its heap and garbage
// collections, its Socket.IO sockets and events, and the metrics of the package prom-client. It runs before
// the app's code. SIDEREAL_INJECT=off leaves it out.
//
// It hooks two modules as they load: the class Client of socket.io, to count packets, and the cluster module
// of prom-client, to find the app's registries. Both are loaded by require, for ES modules too.

const cluster = require("cluster");
const Module = require("module");
const { monitorEventLoopDelay, performance, PerformanceObserver, constants = {} } = require("perf_hooks");

if (!process.send || !require("worker_threads").isMainThread) return; // a thread, or a child of the worker's own

const COMMAND = "NODE_SIDEREAL"; // Node keeps messages with this prefix from the app's listeners
const EVERY = 5000; // ms between two reports
const FIRST = 1000; // ms until the first one
const RESOLUTION = 50; // ms between two looks at the event loop: 20 timers a second

const send = process.send;
const ignore = () => {};

function tell(message) {
  if (process.connected) send.call(process, message, undefined, undefined, ignore);
}

// Garbage collections

const kinds = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"],
]);
const gc = { minor: 0, major: 0, incremental: 0, weakcb: 0 }; // ms since the start

function watchCollections() {
  new PerformanceObserver((list) => {
    for (const { detail, duration } of list.getEntries()) {
      const kind = kinds.get(detail && detail.kind);
      if (kind) gc[kind] += duration;
    }
  }).observe({ entryTypes: ["gc"] });
}

// Socket.IO

const MOST_SERVERS = 64;
const servers = new Set(); // WeakRefs
const seen = new WeakSet();
let received = 0; // events
let sent = 0;

const isEvent = (type) => type === 2 || type === 5; // with and without binary values

// carriesEvent reports whether encoded packets begin with an event. Of a parser of the app's own it takes
// every packet for one.
function carriesEvent(encoded) {
  const first = Array.isArray(encoded) ? encoded[0] : encoded;
  return typeof first !== "string" || first[0] === "2" || first[0] === "5";
}

// count counts what passes the class Client, whose objects are connections.
function count(Client) {
  const { setup, ondecoded, writeToEngine, _packet } = Client.prototype;
  Client.prototype.setup = function (...args) {
    if (this.server && !seen.has(this.server) && servers.size < MOST_SERVERS) {
      seen.add(this.server);
      servers.add(new WeakRef(this.server));
    }
    return setup.apply(this, args);
  };
  Client.prototype.ondecoded = function (packet) {
    if (packet && isEvent(packet.type)) received++;
    return ondecoded.call(this, packet);
  };
  if (typeof writeToEngine === "function") {
    Client.prototype.writeToEngine = function (encoded, opts) {
      if (carriesEvent(encoded)) sent++;
      return writeToEngine.call(this, encoded, opts);
    };
  } else {
    Client.prototype._packet = function (packet, opts) {
      if (opts && opts.preEncoded ? carriesEvent(packet) : packet && isEvent(packet.type)) sent++;
      return _packet.call(this, packet, opts);
    };
  }
}

function sockets() {
  let n = 0;
  for (const ref of servers) {
    const server = ref.deref();
    if (!server) servers.delete(ref);
    else if (server._nsps) for (const { sockets } of server._nsps.values()) n += sockets.size || 0;
  }
  return n;
}

// prom-client

const REQUEST = "prom-client:getMetricsReq";
const RESPONSE = "prom-client:getMetricsRes";
const registries = new Map(); // class AggregatorRegistry -> the registries that it would answer with
const answerers = new WeakMap(); // listener -> whether it is prom-client's

function found(AggregatorRegistry) {
  const { globalRegistry } = Object.getPrototypeOf(AggregatorRegistry);
  const { setRegistries } = AggregatorRegistry;
  registries.set(AggregatorRegistry, globalRegistry ? [globalRegistry] : []);
  AggregatorRegistry.setRegistries = function (list) {
    setRegistries.call(this, list);
    registries.set(AggregatorRegistry, [].concat(list));
  };
}

// answerer returns prom-client's own listener for requests of a cluster's primary. It also exists in a
// bundle, whose modules nobody requires.
function answerer() {
  return process.listeners("message").find((listener) => {
    if (!answerers.has(listener)) {
      const code = Function.prototype.toString.call(listener);
      answerers.set(listener, code.includes("getMetricsAsJSON") && code.includes("requestId"));
    }
    return answerers.get(listener);
  });
}

// answer answers the request as prom-client does in a worker, also in a process that is none.
function answer(requestId) {
  const listener = cluster.isWorker && answerer();
  if (listener) return listener.call(process, { type: REQUEST, requestId });
  Promise.all([...registries.values()].flat().map((registry) => registry.getMetricsAsJSON())).then(
    (metrics) => tell({ type: RESPONSE, requestId, metrics }),
    (err) => tell({ type: RESPONSE, requestId, error: String(err && err.message) }),
  );
}

process.on("internalMessage", (message) => {
  if (message && message.cmd === COMMAND && message.act === "metrics") answer(message.request);
});

// The hook

const load = Module._load;
Module._load = function (request, parent, ...rest) {
  const exports = load.call(this, request, parent, ...rest);
  if (request === "./client" || request === "./lib/cluster") {
    try {
      hook(request, exports, (parent && parent.filename) || "");
    } catch {
      // an unknown version: what it has isn't counted
    }
  }
  return exports;
};

function hook(request, exports, from) {
  if (!exports || seen.has(exports)) return;
  if (request === "./client") {
    const { Client } = exports;
    if (!/[\\/]dist[\\/]index\.js$/.test(from) || typeof Client !== "function" || typeof Client.prototype.ondecoded !== "function") return;
    seen.add(exports);
    count(Client);
  } else if (/[\\/]prom-client[\\/]index\.js$/.test(from) && typeof exports.setRegistries === "function") {
    seen.add(exports);
    found(exports);
  }
}

// The report

let delay = null;
let utilization = null;

// late returns by how much a value of the histogram exceeds the time between two looks, in seconds. Some
// versions of Node include that time.
function late(ns) {
  return delay.max > 0 ? Math.max(0, ns - (delay.min >= RESOLUTION * 9e5 ? RESOLUTION * 1e6 : 0)) / 1e9 : 0;
}

function report() {
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  const now = performance.eventLoopUtilization();
  tell({
    cmd: COMMAND,
    act: "usage",
    half: late(delay.percentile(50)),
    most: late(delay.percentile(99)),
    max: late(delay.max),
    busy: performance.eventLoopUtilization(now, utilization).utilization,
    heap: memory.heapUsed,
    heapTotal: memory.heapTotal,
    external: memory.external,
    rss: memory.rss,
    cpu: (cpu.user + cpu.system) / 1e6,
    minor: gc.minor / 1e3,
    major: gc.major / 1e3,
    incremental: gc.incremental / 1e3,
    weakcb: gc.weakcb / 1e3,
    sockets: sockets(),
    received,
    sent,
    prom: registries.size > 0 || Boolean(cluster.isWorker && answerer()),
  });
  utilization = now;
  delay.reset();
}

try {
  watchCollections();
  delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  delay.enable();
  utilization = performance.eventLoopUtilization();
  setTimeout(report, FIRST).unref();
  setInterval(report, EVERY).unref();
} catch {
  // another runtime than Node lacks some of these: it reports nothing
}
