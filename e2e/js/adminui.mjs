// A server of Node's with the Admin UI's instrument, beside a Go worker at GO_URL on the same Redis. Two admins, one at
// each server, watch two clients, one at each server. Prints what both admins heard of both clients.
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";

const { instrument } = createRequire(import.meta.url)("@socket.io/admin-ui");
const { GO_URL, REDIS_URL, ADMIN_HASH } = process.env;

const pub = createClient({ url: REDIS_URL });
const sub = pub.duplicate();
await Promise.all([pub.connect(), sub.connect()]);
const http = createServer();
const server = new Server(http, { adapter: createAdapter(pub, sub) });
instrument(server, { auth: { type: "basic", username: "ada", password: ADMIN_HASH }, mode: "development" });
server.on("connection", (socket) => socket.on("echo", (value, answer) => answer(value)));
await once(http.listen(0, "127.0.0.1"), "listening");
const urls = { node: `http://127.0.0.1:${http.address().port}`, go: GO_URL };

// heard waits for messages: each admin keeps what it was told.
class Admin {
  constructor(url) {
    this.messages = [];
    this.waiting = [];
    this.socket = io(`${url}/admin`, { auth: { username: "ada", password: "secret" }, transports: ["websocket"], forceNew: true });
    this.socket.on("connect_error", (error) => {
      throw error;
    });
    this.socket.onAny((event, ...args) => {
      this.messages.push([event, args]);
      this.waiting = this.waiting.filter((look) => !look());
    });
  }

  // until returns the first message that is wanted.
  until(wanted) {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.messages.find(wanted);
        if (found) resolve(found);
        return Boolean(found);
      };
      if (!look()) this.waiting.push(look);
    });
  }
}

const about = (id) => ([event, args]) => args[0]?.id === id || args[1] === id || args[2] === id;
const is = (name, id, text) => (m) => m[0] === name && about(id)(m) && (!text || JSON.stringify(m[1]).includes(text));

// life is that of a client, steered by one admin and watched by both.
async function life(url, actor, admins) {
  const all = (wanted) => Promise.all(admins.map((a) => a.until(wanted)));
  const client = io(url, { transports: ["websocket"], forceNew: true, auth: { token: "hidden" }, query: { page: "1" } });
  await once(client, "connect");
  const id = client.id;
  await all(is("socket_connected", id));
  await client.emitWithAck("echo", { deep: [1, "two", Buffer.from([3])] });
  await all(is("event_received", id));
  actor.socket.emit("join", "/", "lobby", id);
  await all(is("room_joined", id, "lobby"));
  const news = once(client, "news");
  actor.socket.emit("emit", "/", id, "news", 1, { two: null });
  await news;
  await all(is("event_sent", id));
  actor.socket.emit("leave", "/", "lobby", id);
  await all(is("room_left", id, "lobby"));
  const end = once(client, "disconnect");
  actor.socket.emit("_disconnect", "/", true, id);
  await end;
  await all((m) => m[0] === "room_left" && m[1][1] === id);
  return id;
}

const form = (value) => {
  if (value === null) return "null";
  if (Buffer.isBuffer(value)) return "binary";
  if (Array.isArray(value)) return value.map(form);
  if (typeof value !== "object") return /^\d{4}-\d\d-\d\dT/.test(value) ? "date" : typeof value;
  return Object.fromEntries(Object.keys(value).sort().map((k) => [k, k === "headers" ? "headers" : form(value[k])]));
};

// The Go worker finds out within 10 seconds that there is an admin at Node's server.
const admins = { node: new Admin(urls.node) };
await admins.node.until((m) => m[0] === "server_stats" && m[1][0].pid !== process.pid);
admins.go = new Admin(urls.go);
const both = Object.values(admins);
await Promise.all(both.map((a) => a.until((m) => m[0] === "all_sockets")));
const ids = {};
for (const home of ["node", "go"]) {
  for (const actor of ["node", "go"]) {
    ids[`${home} by ${actor}`] = await life(urls[home], admins[actor], both);
  }
}
const result = { config: {}, stats: {}, lives: {} };
for (const [name, admin] of Object.entries(admins)) {
  result.config[name] = admin.messages.find((m) => m[0] === "config")[1][0].supportedFeatures.sort();
  await admin.until((m) => m[0] === "server_stats" && new Set(admin.messages.filter((m) => m[0] === "server_stats").map((m) => m[1][0].serverId)).size === 2);
  for (const [, [s]] of admin.messages.filter((m) => m[0] === "server_stats")) {
    const home = s.pid === process.pid ? "node" : "go";
    result.stats[home] = Object.keys(s).sort();
  }
  for (const [life, id] of Object.entries(ids)) {
    result.lives[`${life}, seen at ${name}`] = admin.messages.filter(about(id)).map(([event, args]) => [event, form(args)]);
  }
}
console.log(JSON.stringify(result));
process.exit(0);
