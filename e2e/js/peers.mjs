// The Node side of e2e/interop: official servers in every transport, the emitters, and clients that keep what they hear.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { dates, digest, unpack } from "./values.mjs";

const maxHttpBufferSize = 1e8;

// adapters by the name of the transport; sharded ones have their mode behind a colon.
async function adapterOf(transport, redis, key) {
  const [form, subscriptionMode] = transport.split(":");
  const pub = await connected(redis);
  if (form === "redis-streams") {
    return { connections: [pub], adapter: createStreamsAdapter(pub, { streamName: key, channelPrefix: key }) };
  }
  const sub = await connected(redis);
  const connections = [pub, sub];
  if (form === "redis-sharded") {
    return { connections, adapter: createShardedAdapter(pub, sub, { channelPrefix: key, subscriptionMode }) };
  }
  return { connections, adapter: createAdapter(pub, sub, { key, requestsTimeout: 30_000 }) };
}

async function connected(url) {
  const client = createClient({ url });
  client.on("error", () => {});
  await client.connect();
  return client;
}

export function peerOperations(out) {
  const peers = new Map(); // name -> {io, http?, connections, events}
  const listeners = new Map(); // name -> Socket of socket.io-client

  const sockets = (peer) => [...peer.io.of("/").sockets.values()];

  return {
    // peer starts a server.
    async peer({ name, transport, redis, key }) {
      const http = createServer();
      const { adapter, connections } = await adapterOf(transport, redis, key);
      const server = new Server(http, { adapter, maxHttpBufferSize });
      const peer = { io: server, http, connections, events: [], dates: 0 };
      server.on("connection", (socket) => {
        const { rooms, ...who } = socket.handshake.auth;
        Object.assign(socket.data, who, { since: new Date(0), list: [1, "two", null], picture: Buffer.from([1, 2, 0xff]) });
        socket.join([...rooms, `of ${name}`]);
      });
      const told = (args) => {
        peer.events.push(digest(args));
        peer.dates += dates(args);
      };
      server.on("tell", (...args) => told(args));
      server.on("ask", (...args) => {
        const answer = args.pop();
        told(args);
        answer({ server: name, got: args });
      });
      await new Promise((done) => http.listen(0, "127.0.0.1", done));
      peers.set(name, peer);
      return { url: `http://127.0.0.1:${http.address().port}` };
    },
    async emitter({ name, redis, key }) {
      const pub = await connected(redis);
      peers.set(name, { io: new Emitter(pub, { key }), connections: [pub], events: [] });
    },
    async unpeer({ name }) {
      const { io, http, connections } = peers.get(name);
      peers.delete(name);
      if (http) await new Promise((done) => io.close(done));
      for (const c of connections) if (c.isOpen) await c.close(); // after what the adapter still has to say
    },

    // listener connects a client that tells of what it heard when it hears "fence", and answers whatever wants an answer.
    listener({ name, url, server, client, rooms }) {
      const socket = io(url, { forceNew: true, transports: ["websocket"], auth: { server, client, rooms } });
      let heard = [];
      socket.onAny((event, ...args) => {
        if (event === "fence") {
          out({ event: "fence", of: name, id: args[0], heard });
          heard = [];
          return;
        }
        const answer = typeof args.at(-1) === "function" ? args.pop() : null;
        heard.push([event, ...digest(args)]);
        answer?.({ server, client, got: args });
      });
      socket.on("disconnect", (reason) => {
        heard = [];
        out({ event: "disconnect", of: name, reason });
      });
      listeners.set(name, socket);
      return new Promise((done, failed) => {
        socket.once("connect", () => done(socket.id));
        socket.once("connect_error", failed);
      });
    },
    again({ name }) {
      const socket = listeners.get(name);
      return new Promise((done) => {
        socket.once("connect", () => done(socket.id));
        socket.connect();
      });
    },
    unlisten({ name }) {
      listeners.get(name).off().disconnect();
      listeners.delete(name);
    },

    // act does one operation of a server or an emitter, and tells what its caller is told.
    async act({ name, do: op, from, rooms = [], except = [], volatile, compress, local, timeout, event, args = [], join = [], close }) {
      const peer = peers.get(name);
      let to = from ? sockets(peer).find((s) => s.data.client === from).broadcast : peer.io;
      for (const r of rooms) to = to.to(r);
      for (const r of except) to = to.except(r);
      if (volatile) to = to.volatile;
      if (local) to = to.local;
      if (compress !== undefined) to = to.compress(compress);
      args = unpack(args);
      const asked = (ask) =>
        new Promise((done) => ask((err, answers) => done({ error: err ? String(err.message) : "", answers: digest(answers) })));
      const remote = () => to.fetchSockets();
      const adapter = () => peer.io.of("/").adapter;
      switch (op) {
        case "emit": return void to.emit(event, ...args);
        case "ask": return asked((done) => to.timeout(timeout).emit(event, ...args, done));
        case "fetch": return { answers: digest((await remote()).map((s) => ({ id: s.id, handshake: s.handshake, rooms: [...s.rooms], data: s.data, dates: dates(s.data) }))) };
        case "join": return void to.socketsJoin(join);
        case "leave": return void to.socketsLeave(join);
        case "disconnect": return void to.disconnectSockets(close);
        case "serverSideEmit": return void to.serverSideEmit(event, ...args);
        case "serverSideAsk": return asked((done) => to.serverSideEmit(event, ...args, done));
        case "serverCount": return { answers: [await adapter().serverCount()] };
        case "allRooms": return { answers: [[...await adapter().allRooms()]] };
        case "remote emit": return void (await remote()).forEach((s) => s.emit(event, ...args));
        case "remote ask": {
          const each = (await remote()).map((s) => asked((done) => s.timeout(timeout).emit(event, ...args, done)));
          const all = await Promise.all(each);
          return { error: all.map((a) => a.error).join(""), answers: all.map((a) => a.answers) };
        }
        case "remote join": return void (await remote()).forEach((s) => s.join(join));
        case "remote leave": return void (await remote()).forEach((s) => join.forEach((room) => s.leave(room)));
        case "remote disconnect": return void (await remote()).forEach((s) => s.disconnect(close));
        default: throw new Error(`no operation ${op}`);
      }
    },
    // inspect tells who is here in which rooms, and which server-side events came since it was last called.
    inspect({ name }) {
      const peer = peers.get(name);
      const [events, n] = [peer.events.splice(0), peer.dates];
      peer.dates = 0;
      return { events, dates: n, rooms: Object.fromEntries(sockets(peer).map((s) => [s.data.client, [...s.rooms]])) };
    },
  };
}
