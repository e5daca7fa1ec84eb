"use strict";
// This script runs in every Node worker before the app's code. It changes only Node's own modules. It
// tells the app the client of a connection, tells the node host what only the process knows, and moves
// sessions elsewhere in a drain.

const cluster = require("cluster");
const http = require("http");
const https = require("https");
const Module = require("module");
const net = require("net");
const path = require("path");

if (!process.send || !require("worker_threads").isMainThread) return; // a thread, or a child of the worker's own

const COMMAND = "NODE_SIDEREAL"; // Node keeps messages with this prefix from the app's listeners
const BEAT = 1000;
const FORGET = 60000; // ms of silence after which a polling session is forgotten
const PATIENCE = 75000; // ms that a router's connection may be idle
const LATE = 5000; // ms for a moving session to poll or to learn its end, and for a request to be answered
const LAST = 250; // ms for the last message of a client that knows its end
const QUIET = 100; // ms of silence after which a client waits for no answer
const RESTLESS = 1000; // ms after which a session that is never quiet ends anyway
const TICK = 20;

function tell(act, more) {
  if (process.connected) process.send({ cmd: COMMAND, act, ...more }, undefined, undefined, () => {});
}

// Cluster workers have a channel that clones messages, for adapters that send Buffers. PM2's is JSON,
// which leaves functions out. A message that can't be cloned goes as JSON has it.

const send = process.send;
process.send = function (message, ...rest) {
  try {
    return send.call(this, message, ...rest);
  } catch (err) {
    if (!err || typeof err.code === "string") throw err; // ERR_IPC_CHANNEL_CLOSED and the like
    const text = JSON.stringify(message);
    if (text === undefined) throw err; // a function itself
    return send.call(this, JSON.parse(text), ...rest);
  }
};

// Who is at the other end

const given = new WeakMap(); // handle from the channel -> its origin
const origins = new WeakMap(); // socket -> "router", "client" or "own"

// The node host names the origin, and the kind of the handle must agree: routers have socket pairs.
// An address isn't enough. A client that has reset its connection has none either, and could have sent
// a router's fields before.
process.prependListener("internalMessage", (message, handle) => {
  if (!handle || !message || message.cmd !== "NODE_HANDLE") return;
  const said = message.msg && message.msg.sidereal;
  if (said === "own") return; // the node host accepted it itself, from anybody
  given.set(handle, said === "router" && handle.constructor.name === "Pipe" ? "router" : "client");
});

// patiently replaces a socket's setTimeout. A router closes its idle connections sooner, so that it
// never sends on one that the worker is closing.
function patiently(ms, callback) {
  return net.Socket.prototype.setTimeout.call(this, ms > 0 && ms < PATIENCE ? PATIENCE : ms, callback);
}

// originOf returns the kind of peer at the other end of a connection.
function originOf(socket) {
  let origin = origins.get(socket);
  if (origin === undefined) {
    origin = (socket._handle && given.get(socket._handle)) || "own";
    if (origin === "router") socket.setTimeout = patiently;
    origins.set(socket, origin);
  }
  return origin;
}

// believe gives a router's connection the address and the scheme of the request's client.
function believe(req) {
  const { socket, headers } = req;
  const client = headers["sidereal-client"];
  const secure = headers["sidereal-proto"] === "https";
  if (originOf(socket) !== "router" || client === undefined) return;
  const at = client.lastIndexOf(":");
  const address = client.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  define(socket, "remoteAddress", address);
  define(socket, "remotePort", Number(client.slice(at + 1)) || undefined);
  define(socket, "remoteFamily", address.includes(":") ? "IPv6" : "IPv4");
  if (secure || socket.encrypted) define(socket, "encrypted", secure);
}

function define(object, name, value) {
  Object.defineProperty(object, name, { value, configurable: true, enumerable: false, writable: true });
}

// strip removes the routers' own fields from a request, so that the app sees neither them nor a client's
// imitations.
function strip(req) {
  let found = false;
  for (const name of Object.keys(req.headers)) {
    if (name.startsWith("sidereal-")) {
      delete req.headers[name];
      found = true;
    }
  }
  if (!found) return;
  const raw = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    if (!/^sidereal-/i.test(req.rawHeaders[i])) raw.push(req.rawHeaders[i], req.rawHeaders[i + 1]);
  }
  req.rawHeaders = raw;
}

// Sessions, as requests show them

const sockets = new Set(); // WebSockets
const upgrades = new Map(); // sid -> { socket, session }: the WebSocket of an upgrade, done or under way
const polling = new Map(); // sid -> { server, url, headers, seen, poll, began, posts, posted }
const closed = new Map(); // sid -> { until, knows }: closed sessions whose requests are answered here
let requests = 0; // under way, without those of sessions

function query(req) {
  const at = req.url.indexOf("?");
  return at < 0 ? null : new URLSearchParams(req.url.slice(at + 1));
}

function sidOf(params) {
  const all = params ? params.getAll("sid") : [];
  return params && params.get("transport") && all.length > 0 ? all[all.length - 1] : null;
}

function polled(server, req, res, sid) {
  const upgrade = upgrades.get(sid);
  const session = (upgrade ? upgrade.session : polling.get(sid)) || { posts: 0, posted: 0 };
  if (upgrade) upgrade.session = session;
  else polling.set(sid, session);
  const now = (session.seen = Date.now());
  if (req.method === "POST") {
    session.posts++;
    heedClose(req, sid);
    req.once("end", () => (session.posted = Date.now()));
    res.once("close", () => {
      session.posts--;
      if (res.statusCode >= 400) polling.delete(sid);
    });
  }
  if (req.method !== "GET") return;
  Object.assign(session, { server, url: req.url, headers: req.headers, poll: res, began: now });
  res.once("close", () => {
    session.seen = Date.now();
    if (session.poll === res) session.poll = null;
    if (res.statusCode >= 400) polling.delete(sid);
  });
  if (draining) setImmediate(move, sid);
}

// heedClose recognizes the packet by which a client ends its session.
function heedClose(req, sid) {
  req.push = function (chunk, ...rest) {
    const n = chunk ? chunk.length : 0;
    const ends = n > 0 && chunk[n - 1] === 0x31 && (n === 1 || chunk[n - 2] === 0x1e || (n === 3 && String(chunk) === "1:1"));
    if (ends) {
      polling.delete(sid);
      if (draining) draining.last = Date.now();
    }
    return http.IncomingMessage.prototype.push.call(this, chunk, ...rest);
  };
}

function upgraded(socket, sid) {
  sockets.add(socket);
  if (sid) {
    upgrades.set(sid, { socket, session: polling.get(sid) });
    polling.delete(sid);
  }
  socket.once("close", () => {
    sockets.delete(socket);
    const upgrade = upgrades.get(sid);
    if (upgrade && upgrade.socket === socket) {
      upgrades.delete(sid);
      if (upgrade.session && upgrade.session.poll) polling.set(sid, upgrade.session); // the upgrade failed
    }
  });
}

function tidy(now) {
  const patience = draining ? LATE : FORGET;
  for (const [sid, session] of polling) {
    if (!session.poll && now - session.seen > patience) polling.delete(sid);
  }
  for (const [sid, { until }] of closed) {
    if (now > until) closed.delete(sid);
  }
}

// setHeader keeps a router's connection open if the app would close it with each answer.
// @socket.io/sticky does that because in Node's cluster the next request may belong to another
// session. A router looks at each request.
function setHeader(name, value) {
  if (value === "close" && /^connection$/i.test(name)) return this;
  return http.ServerResponse.prototype.setHeader.call(this, name, value);
}

// A client's connection

const MOST = 65536; // bytes that a client may send after its request; they are dropped
const NODES = ["drain", "close", "error", "timeout"]; // events of a connection that Node hears, and stops to hear with an upgrade
const single = new WeakSet(); // sockets that serve one request
const refused = new WeakMap(); // request that the app doesn't take as an upgrade -> Node's listeners

const nothing = () => {};

// serveOne makes a client's connection serve only the one request that a router has read. If the app
// doesn't take it as an upgrade, Node would serve the following bytes as requests, with any address that
// they claim. So serveOne tells Node that it is an upgrade all the same: Node detaches its parser, and
// the app's answer is the last one.
function serveOne(server, socket) {
  const { parser } = socket;
  const take = parser && parser.onIncoming;
  if (typeof take !== "function") return; // an unknown version of Node: serve no request, see below
  single.add(socket);
  parser.onIncoming = function (req, ...rest) {
    const listeners = NODES.map((name) => [name, socket.listeners(name)]);
    if (take.call(this, req, ...rest) === 2) return 2; // the app takes it
    refused.set(req, listeners);
    server.prependListener("upgrade", nothing); // without a listener Node would close the connection
    req.upgrade = true;
    return 2;
  };
}

// answerLast follows serveOne, once the parser is detached: the app answers, and nobody reads the client.
function answerLast(server, req, socket) {
  server.removeListener("upgrade", nothing);
  req.upgrade = false;
  for (const [name, listeners] of refused.get(req)) {
    const left = socket.listeners(name);
    for (const listener of listeners) if (!left.includes(listener)) socket.on(name, listener);
  }
  let more = 0;
  socket.on("data", (chunk) => {
    if ((more += chunk.length) > MOST) socket.destroy();
  });
  socket.once("end", () => socket.end());
  return true;
}

// Requests and upgrades pass here before they reach the app.
const emit = http.Server.prototype.emit;
http.Server.prototype.emit = https.Server.prototype.emit = function (event, req, other, ...rest) {
  if (event === "connection" && req && originOf(req) === "client") {
    const heard = emit.call(this, event, req, other, ...rest);
    serveOne(this, req);
    return heard;
  }
  if (event === "upgrade" && refused.has(req)) return answerLast(this, req, other);
  if ((event === "request" || event === "upgrade" || event === "checkContinue") && req && req.headers && req.socket) {
    believe(req);
    strip(req);
    const params = query(req);
    const sid = sidOf(params);
    if (event === "upgrade") {
      if (params && params.get("transport") === "websocket") upgraded(other, sid);
    } else {
      if (sid && closed.has(sid)) return farewell(req, other, sid);
      if (sid && params.get("transport") === "polling") polled(this, req, other, sid);
      else {
        requests++;
        other.once("close", () => requests--);
      }
      const origin = originOf(req.socket);
      if (origin === "client") {
        if (!single.has(req.socket)) return req.socket.destroy(); // only a router knows the client of a request
        other.shouldKeepAlive = false;
        other.once("finish", () => req.socket.destroySoon());
      }
      if (origin === "router") other.setHeader = setHeader;
    }
  }
  return emit.call(this, event, req, other, ...rest);
};

// Moving sessions elsewhere

const CLOSE_FRAME = Buffer.from([0x88, 0x02, 0x03, 0xe9]); // 1001, going away
const NOTHING = /^((?:___eio\[\d+\]\(")?(?:1:)?)6((?:"\);)?)$/; // the noop packet alone, in JSONP and in revision 3
let draining = null; // { rate, at, due, last, told }; due: sessions that may end now

// drain ends the sessions that are due, and reports when the last has left.
function drain() {
  const now = Date.now();
  const { rate, told } = draining;
  draining.due = Math.min(draining.due + ((now - draining.at) * rate) / 1000, Math.max(1, rate));
  draining.at = now;
  for (const socket of sockets) {
    if (draining.due < 1) break;
    if (told.has(socket)) continue;
    told.add(socket);
    draining.due--;
    endWhenQuiet(socket, now);
  }
  for (const sid of polling.keys()) {
    if (draining.due < 1) break;
    move(sid);
  }
  tidy(now);
  if (sockets.size === 0 && polling.size === 0 && settled(now)) {
    draining = null;
    tell("drained");
    return;
  }
  again(drain);
}

// again calls f a little later, after everything that has arrived by then was read.
function again(f) {
  setTimeout(setImmediate, TICK, f);
}

// move ends a due polling session at a quiet moment, which may come with each of its polls.
function move(sid) {
  const session = polling.get(sid);
  if (!draining || draining.due < 1 || !session || !isQuiet(session, Date.now())) return;
  draining.due--;
  closeSession(sid, session);
}

// settled reports whether the worker has nothing more to answer after its last session.
function settled(now) {
  for (const { knows } of closed.values()) if (!knows) return false;
  const since = now - draining.last;
  return since > LAST && (requests === 0 || since > LATE);
}

// endWhenQuiet ends a WebSocket when its client waits for no answer, as far as bytes show: its last
// message was answered, or is a while ago.
function endWhenQuiet(socket, begun) {
  let [read, written, heard] = [socket.bytesRead, socket.bytesWritten, begun];
  let asked = false;
  const look = () => {
    if (socket.destroyed) return;
    const now = Date.now();
    if (socket.bytesRead !== read) [read, heard, asked] = [socket.bytesRead, now, true];
    const answered = asked && socket.bytesWritten !== written;
    if (!asked) written = socket.bytesWritten;
    if (!answered && now - heard < QUIET && now - begun < RESTLESS) {
      again(look);
      return;
    }
    if (draining) draining.last = now;
    socket.end(CLOSE_FRAME);
    setTimeout(() => socket.destroy(), 1000).unref();
  };
  again(look);
}

// isQuiet reports whether a client waits for messages but for no answer: its poll is younger than its
// last message, so the poll before was answered; or that message is a while ago.
function isQuiet({ poll, began, posts, posted }, now) {
  if (!poll || poll.headersSent || posts > 0) return false;
  return began >= posted || now - posted > QUIET;
}

// closeSession closes a polling session as its client would, so that Engine.IO itself ends the waiting
// poll with a noop packet. The script replaces the noop by the close packet.
function closeSession(sid, session) {
  const entry = { until: Date.now() + LATE, knows: false };
  draining.last = Date.now();
  polling.delete(sid);
  closed.set(sid, entry);
  const { poll } = session;
  poll.end = function (data, ...rest) {
    const over = typeof data === "string" ? data.replace(NOTHING, (_, before, after) => before + "1" + after) : data;
    entry.knows = over !== data;
    return http.ServerResponse.prototype.end.call(this, over, ...rest);
  };
  const packet = /[?&]EIO=3(&|$)/.test(session.url) ? "1:1" : "1";
  const req = new http.IncomingMessage(poll.socket);
  req.method = "POST";
  req.url = session.url;
  req.httpVersion = "1.1";
  req.httpVersionMajor = req.httpVersionMinor = 1;
  req.headers = { ...session.headers, "content-type": "text/plain;charset=UTF-8", "content-length": String(packet.length) };
  req.complete = true; // or Node would take its end for the connection's
  req.push(packet);
  req.push(null);
  emit.call(session.server, "request", req, new http.ServerResponse(req));
}

// farewell answers requests of a closed session, so that the client learns its end and starts a new one.
function farewell(req, res, sid) {
  const headers = { "Content-Type": "text/plain; charset=UTF-8", "Cache-Control": "no-store" };
  if (req.headers.origin) {
    headers["Access-Control-Allow-Origin"] = req.headers.origin;
    headers["Access-Control-Allow-Credentials"] = "true";
  }
  req.resume();
  if (draining) draining.last = Date.now();
  if (req.method === "GET") closed.get(sid).knows = true;
  res.writeHead(200, headers);
  res.end(req.method === "GET" ? (/[?&]EIO=3(&|$)/.test(req.url) ? "1:1" : "1") : "ok");
  return true;
}

// The node host

process.on("internalMessage", (message) => {
  if (!message || message.cmd !== COMMAND || message.act !== "drain" || draining) return;
  const now = Date.now();
  draining = { rate: message.rate, at: now, due: 1, last: now - LAST, told: new WeakSet() };
  drain();
});

// A router can serve only HTTP servers. The script reports others to the primary.
const { _getServer } = cluster;
if (_getServer) {
  cluster._getServer = function (server, options, ...rest) {
    return _getServer.call(this, server, server instanceof http.Server ? options : { ...options, sidereal: "raw" }, ...rest);
  };
}

// Scripts that require PM2 get our module, which stands beside this script: PM2 would start a daemon of its
// own. Where Node can't hook import, only require finds it.
const PM2 = /[\\/]node_modules[\\/]pm2[\\/](index\.js)?$/;
const ours = path.join(__dirname, "pm2.cjs");
const load = Module._load;
Module._load = function (request, ...rest) {
  return load.call(this, request === "pm2" || PM2.test(request) ? ours : request, ...rest);
};
if (Module.registerHooks) {
  const url = require("url").pathToFileURL(ours).href;
  Module.registerHooks({ resolve: (name, context, next) => (name === "pm2" ? { url, format: "commonjs", shortCircuit: true } : next(name, context)) });
}

// A process that listens to @socket.io/sticky's messages takes connections. The script reports it after
// the code that added the listener has returned, and so has added its request handlers.
process.on("newListener", (event, listener) => {
  if (event !== "message") return;
  const code = Function.prototype.toString.call(listener.listener || listener);
  if (code.includes("sticky:connection")) setImmediate(() => tell("sticky"));
});

const beat = () => {
  tidy(Date.now());
  tell("beat", { clients: sockets.size + polling.size });
};
setInterval(beat, BEAT).unref();
setImmediate(beat).unref();

// The process has loaded its code when nothing reads files any more: require has read all of them in the
// first turn of the event loop, import may take longer. A server that was made and doesn't listen yet will
// show when it serves, so the script then reports nothing.
let made = []; // servers, until the code has been loaded
for (const m of [http, https]) {
  const { createServer } = m;
  m.createServer = function (...args) {
    const server = createServer.apply(this, args);
    if (made) made.push(server);
    return server;
  };
}
const READING = /^(FSReq|CloseReq|FILEHANDLE)/; // what getActiveResourcesInfo says of files
const READS = 1000; // looks after which a process that always reads files has loaded, too

function look(left) {
  if (left > 0 && process.getActiveResourcesInfo && process.getActiveResourcesInfo().some((name) => READING.test(name))) {
    setTimeout(setImmediate, 10, look, left - 1).unref();
    return;
  }
  if (!cluster.isWorker || made.every((server) => server.listening)) tell("loaded");
  made = null;
}
setImmediate(look, READS).unref();
tell("hello");
