"use strict";
// Runs in every Node worker before its own code, and touches nothing but Node's modules. It tells the app who the client of a
// connection is, tells the nodehost what only the process itself knows, and moves sessions elsewhere when it is asked to.

const http = require("http");
const net = require("net");

if (!process.send || !require("worker_threads").isMainThread) return; // a thread, or a child of the worker's own

const COMMAND = "NODE_SIDEREAL"; // internal to Node: no listener of the app's sees it
const BEAT = 1000;
const FORGET = 60000; // how long a polling session may be silent
const PATIENCE = 75000; // how long a router's connection may be idle
const LATE = 5000; // how long a closed session may take to find out
const LAST = 250; // how long its last message may take

function tell(act, more) {
  if (process.connected) process.send({ cmd: COMMAND, act, ...more }, undefined, undefined, () => {});
}

// Who is at the other end

const given = new WeakSet(); // handles that came over the channel
const origins = new WeakMap(); // socket -> "router", "client" or "own"

process.prependListener("internalMessage", (message, handle) => {
  if (handle && message && message.cmd === "NODE_HANDLE") given.add(handle);
});

// patiently is a socket's setTimeout: a router closes its idle connections itself, sooner, and must not meet one that closes.
function patiently(ms, callback) {
  return net.Socket.prototype.setTimeout.call(this, ms > 0 && ms < PATIENCE ? PATIENCE : ms, callback);
}

// originOf tells who is at the other end of a connection. Of those that were given to us only routers have socket pairs.
function originOf(socket) {
  let origin = origins.get(socket);
  if (origin === undefined) {
    if (!socket._handle || !given.has(socket._handle)) origin = "own";
    else origin = socket.remoteAddress === undefined ? "router" : "client";
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
const upgrades = new Map(); // sid -> the WebSocket that it changed to, or tries to
const polling = new Map(); // sid -> { server, url, headers, seen, poll, posts }
const closed = new Map(); // sid -> until when its requests are answered here

function query(req) {
  const at = req.url.indexOf("?");
  return at < 0 ? null : new URLSearchParams(req.url.slice(at + 1));
}

function sidOf(params) {
  const all = params ? params.getAll("sid") : [];
  return params && params.get("transport") && all.length > 0 ? all[all.length - 1] : null;
}

function polled(server, req, res, sid) {
  if (upgrades.has(sid)) return;
  const session = polling.get(sid) || { posts: 0 };
  polling.set(sid, session);
  session.seen = Date.now();
  if (req.method === "POST") {
    session.posts++;
    res.once("close", () => {
      session.posts--;
      if (res.statusCode >= 400) polling.delete(sid);
    });
  }
  if (req.method !== "GET") return;
  Object.assign(session, { server, url: req.url, headers: req.headers, poll: res });
  res.once("close", () => {
    session.seen = Date.now();
    if (session.poll === res) session.poll = null;
    if (res.statusCode >= 400) polling.delete(sid);
  });
  if (draining) setImmediate(drain);
}

function upgraded(socket, sid) {
  sockets.add(socket);
  if (sid) {
    polling.delete(sid);
    upgrades.set(sid, socket);
  }
  socket.once("close", () => {
    sockets.delete(socket);
    if (upgrades.get(sid) === socket) upgrades.delete(sid);
    if (draining) drain();
  });
}

function tidy(now) {
  const patience = draining ? FORGET / 6 : FORGET;
  for (const [sid, session] of polling) {
    if (!session.poll && now - session.seen > patience) polling.delete(sid);
  }
  for (const [sid, until] of closed) {
    if (now > until) closed.delete(sid);
  }
}

// setHeader keeps a router's connection open where the app would close it with each answer: @socket.io/sticky does, since in
// Node's cluster the next request might be another session's. A router looks at each request.
function setHeader(name, value) {
  if (value === "close" && /^connection$/i.test(name)) return this;
  return http.ServerResponse.prototype.setHeader.call(this, name, value);
}

// Requests and upgrades pass here on their way to the app.
const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (event, req, other, ...rest) {
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
      const origin = originOf(req.socket);
      if (origin === "client") other.shouldKeepAlive = false; // whose the next request is, only a router can tell
      if (origin === "router") other.setHeader = setHeader;
    }
  }
  return emit.call(this, event, req, other, ...rest);
};

// Moving sessions elsewhere

const CLOSE_FRAME = Buffer.from([0x88, 0x02, 0x03, 0xe9]); // 1001, going away
let draining = null;

// drain ends as many sessions as are due, and says when the last has left.
function drain() {
  if (!draining) return;
  clearTimeout(draining.timer);
  const due = () => draining.ended < 1 + ((Date.now() - draining.begun) * draining.rate) / 1000;
  for (const socket of sockets) {
    if (!due()) break;
    if (draining.told.has(socket)) continue;
    draining.told.add(socket);
    draining.ended++;
    socket.end(CLOSE_FRAME);
    setTimeout(() => socket.destroy(), 1000).unref();
  }
  for (const [sid, session] of polling) {
    if (!due()) break;
    if (!session.poll || session.poll.headersSent || session.posts > 0) continue; // its next poll is waited for
    draining.ended++;
    draining.polled = true;
    closeSession(sid, session);
  }
  tidy(Date.now());
  if (sockets.size === 0 && polling.size === 0 && (!draining.polled || closed.size === 0)) {
    draining = null;
    tell("drained");
    return;
  }
  draining.timer = setTimeout(drain, 20);
}

// closeSession closes a polling session as its client would, so that Engine.IO itself ends the poll that waits.
function closeSession(sid, session) {
  polling.delete(sid);
  closed.set(sid, Date.now() + LATE);
  const packet = /[?&]EIO=3(&|$)/.test(session.url) ? "1:1" : "1";
  const req = new http.IncomingMessage(session.poll.socket);
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
  if (req.method === "GET") closed.set(sid, Date.now() + LAST); // it knows now; a message may be under way
  res.writeHead(200, headers);
  res.end(req.method === "GET" ? (/[?&]EIO=3(&|$)/.test(req.url) ? "1:1" : "1") : "ok");
  return true;
}

// The nodehost

process.on("internalMessage", (message) => {
  if (!message || message.cmd !== COMMAND || message.act !== "drain" || draining) return;
  draining = { begun: Date.now(), rate: message.rate, ended: 0, told: new WeakSet(), polled: false, timer: null };
  drain();
});

// Whoever listens to messages of @socket.io/sticky takes connections. It is told when the code that added the listener has
// run to its end, and so has added what answers requests.
process.on("newListener", (event, listener) => {
  if (event !== "message") return;
  const code = Function.prototype.toString.call(listener.listener || listener);
  if (code.includes("sticky:connection")) setImmediate(() => tell("sticky"));
});

setInterval(() => {
  tidy(Date.now());
  tell("beat", { clients: sockets.size + polling.size });
}, BEAT).unref();
tell("hello");
