// The Node side of the end-to-end tests: official clients and servers, driven over stdin and stdout.
//
// Each line in is a JSON command {id, op, ...}; each line out is a JSON reply {id, ok} or {id, error}, or an event
// {event, of, ...} that happened by itself. Binary travels as {"$bin": base64} in both directions.
import { createInterface } from "node:readline";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { createAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { peerOperations } from "./peers.mjs";
import { pack, unpack } from "./values.mjs";

const clients = new Map(); // name -> Socket of socket.io-client
const servers = new Map(); // name -> {io, http, redis: []}
const mirrors = new Map(); // name -> {http, seen: []}

const out = (message) => process.stdout.write(JSON.stringify(pack(message)) + "\n");

const operations = {
  ...peerOperations(out),

  // connect opens a client and answers once it is connected (or refused).
  connect({ name, url, options = {} }) {
    const socket = io(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 500, ...options });
    clients.set(name, socket);
    const tell = (event, more) => out({ event, of: name, ...more });
    socket.onAny((event, ...args) => tell("message", { name: event, args: args.filter((a) => typeof a !== "function") }));
    socket.on("disconnect", (reason) => tell("disconnect", { reason }));
    socket.on("connect_error", (e) => tell("connect_error", { message: e.message, data: e.data }));
    socket.io.on("open", () => socket.io.engine.once("upgrade", (t) => tell("upgrade", { transport: t.name })));
    socket.io.on("reconnect_attempt", (n) => tell("reconnect_attempt", { n }));
    socket.on("connect", () => {
      tell("connect", { socket: socket.id, recovered: socket.recovered, transport: socket.io.engine.transport.name });
    });
    return new Promise((done) => {
      socket.once("connect", () => done({ socket: socket.id, sid: socket.io.engine.id, transport: socket.io.engine.transport.name }));
      socket.once("connect_error", (e) => done({ refused: e.message, data: e.data }));
    });
  },
  emit({ name, event, args = [] }) {
    client(name).emit(event, ...unpack(args));
  },
  ask({ name, event, args = [], timeout = 10000 }) {
    return client(name).timeout(timeout).emitWithAck(event, ...unpack(args));
  },
  // answer makes the client ack an event with the given arguments, followed by the event's own.
  answer({ name, event, args = [] }) {
    client(name).on(event, (...got) => got.pop()(...unpack(args), ...got));
  },
  state({ name }) {
    const s = client(name);
    return { connected: s.connected, socket: s.id, sid: s.io.engine?.id, transport: s.io.engine?.transport?.name };
  },
  close({ name }) {
    client(name).disconnect();
    clients.delete(name);
  },

  // serve starts an official server, with the Redis adapter when `redis` is given, or the one over streams; its sockets know a
  // few events.
  async serve({ name, redis, streams = false, port = 0, options = {}, adapter = {} }) {
    const http = createServer();
    const server = new Server(http, options);
    const connections = [];
    if (redis) {
      const pub = createClient({ url: redis });
      const sub = pub.duplicate();
      for (const c of [pub, sub]) c.on("error", () => {});
      await Promise.all([pub.connect(), sub.connect()]);
      connections.push(pub, sub);
      server.adapter(streams ? createStreamsAdapter(pub, adapter) : createAdapter(pub, sub, adapter));
    }
    server.on("connection", (socket) => {
      socket.on("echo", (...args) => (typeof args.at(-1) === "function" ? args.pop()(...args) : socket.emit("echo", ...args)));
      socket.on("name", (ack) => ack(name));
      socket.on("join", async (room, ack) => ack((await socket.join(room), "ok")));
      socket.on("leave", async (room, ack) => ack((await socket.leave(room), "ok")));
    });
    server.on("ping-servers", (...args) => {
      const ack = typeof args.at(-1) === "function" ? args.pop() : null;
      out({ event: "server-side", of: name, name: "ping-servers", args });
      ack?.({ from: name, args });
    });
    await new Promise((done) => http.listen(port, "127.0.0.1", done));
    servers.set(name, { server, http, connections });
    return { url: `http://127.0.0.1:${http.address().port}` };
  },
  // mirror starts a plain server that notes the requests it reads; seen tells them, once.
  async mirror({ name }) {
    const seen = [];
    const http = createServer(async (request, response) => {
      const chunks = [];
      const at = seen.push(null) - 1; // in the order of their heads
      try {
        for await (const chunk of request) chunks.push(chunk);
      } catch {
        return; // not a whole request
      }
      seen[at] = `${request.method} ${request.url} ${request.headers.host} ${JSON.stringify(Buffer.concat(chunks).toString())}`;
      response.end("seen");
    });
    await new Promise((done) => http.listen(0, "127.0.0.1", done));
    mirrors.set(name, { http, seen });
    return { url: `http://127.0.0.1:${http.address().port}` };
  },
  seen({ name }) {
    return mirrors.get(name).seen.splice(0).filter(Boolean);
  },
  // server runs one operation of an official server, on the rooms given.
  async server({ name, do: op, rooms = [], except = [], args = [], timeout = 5000 }) {
    const { server } = servers.get(name);
    let to = server.except(except);
    for (const r of rooms) to = to.to(r);
    args = unpack(args);
    switch (op) {
      case "emit": return void to.emit(...args);
      case "ask": return to.timeout(timeout).emitWithAck(...args);
      case "fetch": return (await to.fetchSockets()).map((s) => ({ id: s.id, rooms: [...s.rooms], data: s.data, address: s.handshake.address }));
      case "join": return void to.socketsJoin(args);
      case "leave": return void to.socketsLeave(args);
      case "disconnect": return void to.disconnectSockets(args[0]);
      case "serverSideEmit": return void server.serverSideEmit(...args);
      case "serverSideAsk": return server.serverSideEmitWithAck(...args);
      default: throw new Error(`no operation ${op}`);
    }
  },
  async stop({ name }) {
    const { server, connections } = servers.get(name);
    servers.delete(name);
    await new Promise((done) => server.close(done));
    for (const c of connections) c.destroy();
  },
};

function client(name) {
  const s = clients.get(name);
  if (!s) throw new Error(`no client ${name}`);
  return s;
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, op, ...args } = JSON.parse(line);
    try {
      if (!operations[op]) throw new Error(`no operation ${op}`);
      out({ id, ok: (await operations[op](args)) ?? null });
    } catch (e) {
      out({ id, error: String(e?.message ?? e) });
    }
  })
  .on("close", () => process.exit(0));
out({ event: "ready", of: "driver" });
