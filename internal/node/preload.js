"use strict";
// Runs in every Node worker before its own code, and touches nothing but Node's modules. It tells the app who the client of a
// connection is, tells the node host what only the process itself knows, and moves sessions elsewhere when it is asked to.

const cluster = require("cluster");
const http = require("http");
const https = require("https");
const net = require("net");

if (!process.send || !require("worker_threads").isMainThread) return; // a thread, or a child of the worker's own

const COMMAND = "NODE_SIDEREAL"; // internal to Node: no listener of the app's sees it
const BEAT = 1000;
const FORGET = 60000; // how long a polling session may be silent
const PATIENCE = 75000; // how long a router's connection may be idle
const LATE = 5000; // how long a session that is to move may take to poll, or to find out that it is over; and a request, to be answered
const LAST = 250; // how long the last message of a session that knows may take
const QUIET = 100; // how long a client says nothing that waits for no answer
const RESTLESS = 1000; // how long one that is never quiet is put up with
const TICK = 20;

function tell(act, more) {
  if (process.connected) process.send({ cmd: COMMAND, act, ...more }, undefined, undefined, () => {});
}

// Who is at the other end

const given = new WeakMap(); // handle that came over the channel -> who is at its other end
const origins = new WeakMap(); // socket -> "router", "client" or "own"

// Who that is says the node host, and the kind of the handle has to agree: routers have socket pairs. The address can't tell. A
// client that has reset its connection has none either, and could send a router's fields before.
process.prependListener("internalMessage", (message, handle) => {
  if (!handle || !message || message.cmd !== "NODE_HANDLE") return;
  const said = message.msg && message.msg.sidereal;
  if (said === "own") return; // it was accepted for us, from whomever
  given.set(handle, said === "router" && handle.constructor.name === "Pipe" ? "router" : "client");
});

// patiently is a socket's setTimeout: a router closes its idle connections itself, sooner, and must not meet one that closes.
function patiently(ms, callback) {
  return net.Socket.prototype.setTimeout.call(this, ms > 0 && ms < PATIENCE ? PATIENCE : ms, callback);
}

// originOf tells who is at the other end of a connection.
function originOf(socket) {
  let origin = origins.get(socket);
  if (origin === undefined) {
    origin = (socket._handle && given.get(socket._handle)) || "own";
    if (origin === "router") socket.setTimeout = patiently;
    origins.set(socket, origin);
  }
  return origin;
}

// believe gives a router's connection the address and the scheme of the client that a request came from.
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

// strip takes the routers' own fields from a request: the app is not to see them, nor a client's imitations.
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

// Sessions, as far as requests show them

const sockets = new Set(); // WebSockets
const upgrades = new Map(); // sid -> { socket, session }: the WebSocket that a polling session changed to, or tries to
const polling = new Map(); // sid -> { server, url, headers, seen, poll, began, posts, posted }
const closed = new Map(); // sid -> { until, knows }: whose requests are answered here, until when, and whether its client knows
let requests = 0; // under way, but those of sessions

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

// heedClose notices that a client ends its session: with the last packet of its last message.
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
      if (upgrade.session && upgrade.session.poll) polling.set(sid, upgrade.session); // it only tried
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

// setHeader keeps a router's connection open where the app would close it with each answer: @socket.io/sticky does, since in
// Node's cluster the next request might be another session's. A router looks at each request.
function setHeader(name, value) {
  if (value === "close" && /^connection$/i.test(name)) return this;
  return http.ServerResponse.prototype.setHeader.call(this, name, value);
}

// A client's connection

const MOST = 65536; // what a client may say after its request, to no effect
const NODES = ["drain", "close", "error", "timeout"]; // what Node listens to on a connection, and what it stops with an upgrade
const single = new WeakSet(); // sockets that serve one request
const refused = new WeakMap(); // request that is no upgrade for the app -> what Node listened to

const nothing = () => {};

// serveOne lets a client's connection serve the one request that a router has read. If the app does not take it as an upgrade,
// Node would read on, and serve what follows as requests of its own, whatever their fields say of where they come from. So Node
// is told that it is an upgrade all the same: it takes its parser off, and the app's answer is the last one.
function serveOne(server, socket) {
  const { parser } = socket;
  const take = parser && parser.onIncoming;
  if (typeof take !== "function") return; // an unknown Node: no request is served, see below
  single.add(socket);
  parser.onIncoming = function (req, ...rest) {
    const listeners = NODES.map((name) => [name, socket.listeners(name)]);
    if (take.call(this, req, ...rest) === 2) return 2; // the app takes it
    refused.set(req, listeners);
    server.prependListener("upgrade", nothing); // without any, Node would close the connection
    req.upgrade = true;
    return 2;
  };
}

// answerLast follows serveOne, when the parser is off: the app answers, and nobody hears the client.
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

// Requests and upgrades pass here on their way to the app.
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
        if (!single.has(req.socket)) return req.socket.destroy(); // whose a request is, only a router can tell
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
const NOTHING = /^((?:___eio\[\d+\]\(")?(?:1:)?)6((?:"\);)?)$/; // the packet, by itself, in JSONP, in revision 3
let draining = null; // { rate, at, due, last, told }; due: how many sessions may end now

// drain ends as many sessions as are due, and says when the last has left.
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

// again calls f a little later, when all that has come until then was read, however late that is.
function again(f) {
  setTimeout(setImmediate, TICK, f);
}

// move ends a polling session that is due, at a quiet moment: with each of its polls there may be one.
function move(sid) {
  const session = polling.get(sid);
  if (!draining || draining.due < 1 || !session || !isQuiet(session, Date.now())) return;
  draining.due--;
  closeSession(sid, session);
}

// settled tells whether nothing more is to be answered here, where no session is left.
function settled(now) {
  for (const { knows } of closed.values()) if (!knows) return false;
  const since = now - draining.last;
  return since > LAST && (requests === 0 || since > LATE);
}

// endWhenQuiet ends a WebSocket when its client waits for no answer, as far as bytes tell: what it said last was answered, or is
// a while ago.
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

// isQuiet tells whether a session's client waits for messages and for no answer: its poll is younger than its last message,
// and so the one before was answered; or that message is a while ago.
function isQuiet({ poll, began, posts, posted }, now) {
  if (!poll || poll.headersSent || posts > 0) return false;
  return began >= posted || now - posted > QUIET;
}

// closeSession closes a polling session as its client would, so that Engine.IO itself ends the poll that waits: with a packet
// that says nothing, in whose place the client is told that the session is over.
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
  req.complete = true; // or its end would be taken for that of the connection
  req.push(packet);
  req.push(null);
  emit.call(session.server, "request", req, new http.ServerResponse(req));
}

// farewell answers requests of a session that was closed: the client learns that it is over, and comes back with a new one.
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

// A router can serve HTTP servers alone: the primary is told of others.
const { _getServer } = cluster;
if (_getServer) {
  cluster._getServer = function (server, options, ...rest) {
    return _getServer.call(this, server, server instanceof http.Server ? options : { ...options, sidereal: "raw" }, ...rest);
  };
}

// Whoever listens to messages of @socket.io/sticky takes connections. It is told when the code that added the listener has
// run to its end, and so has added what answers requests.
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
setImmediate(beat).unref(); // the first turn of the loop: the script has been read
tell("hello");
