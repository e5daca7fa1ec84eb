"use strict";
// This script gives each Socket.IO server that chose no adapter one that reaches the app's other processes
// through the node host. It runs before preload.js and before the app's code.
//
// It hooks one place: dist/index.js of the package socket.io loads socket.io-adapter by require, in every
// version since 3.0 and for ES modules too, and takes its default adapter from there. A bundle that contains
// socket.io requires nothing, and its default adapter is recognized by the methods it has (see Bundles). An
// adapter that the app sets itself is never touched.

const { EventEmitter } = require("events");
const Module = require("module");
const path = require("path");
const { randomBytes } = require("crypto");

if (!process.send || !require("worker_threads").isMainThread) return; // a thread, or a child of the worker's own

const COMMAND = "NODE_SIDEREAL"; // Node keeps messages with this prefix from the app's listeners
const TIMEOUT = 5000; // ms to wait for other processes, as in socket.io's own adapters
const MOST_SERVERS = 64; // further ones of this process keep the adapter they have
const MOST_BYTES = 48 << 20; // of one message, below the node host's limit
const LOOK = 1000; // ms between two looks for adapters that the app has replaced

// The types of messages, numbered as in @socket.io/cluster-adapter 0.3.
const [HELLO, BEAT, BROADCAST, JOIN, LEAVE, DISCONNECT, FETCH, FETCHED, EVENT, EVENT_ANSWER, COUNT, ACK, GONE] = Array.from({ length: 13 }, (_, i) => i + 1);

const send = process.send;
const ignore = () => {};

function tell(message) {
  if (process.connected) send.call(process, { cmd: COMMAND, ...message }, undefined, undefined, ignore);
}

// Losses, which the node host counts and logs

const lost = new Map(); // why -> how many
let telling = null;

function uncarried(why) {
  lost.set(why, (lost.get(why) || 0) + 1);
  if (telling) return;
  telling = setTimeout(() => {
    telling = null;
    for (const [reason, count] of lost) tell({ act: "uncarried", reason, count });
    lost.clear();
  }, 100);
  telling.unref();
}

// Payloads

const isBinary = (v) => ArrayBuffer.isView(v) || v instanceof ArrayBuffer;

function bytesOf(v) {
  return v instanceof ArrayBuffer ? Buffer.from(v) : Buffer.from(v.buffer, v.byteOffset, v.byteLength);
}

function hasBinary(value) {
  if (value === null || typeof value !== "object") return false;
  if (isBinary(value)) return true;
  if (typeof value.toJSON === "function") return hasBinary(value.toJSON());
  return Array.isArray(value) ? value.some(hasBinary) : Object.values(value).some(hasBinary);
}

// strip returns a copy whose binary values are placeholders. It moves the values to binary.
function strip(value, binary) {
  if (value === null || typeof value !== "object") return value;
  if (isBinary(value)) return { _placeholder: true, num: binary.push(bytesOf(value)) - 1 };
  if (typeof value.toJSON === "function") return strip(value.toJSON(), binary);
  if (Array.isArray(value)) return value.map((v) => strip(v, binary));
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, strip(v, binary)]));
}

// pack returns the arguments of an event as clients will get them: JSON text, and the binary values that its
// placeholders stand for. So toJSON methods run here, where the classes are.
function pack(args) {
  const binary = [];
  return { text: JSON.stringify(hasBinary(args) ? strip(args, binary) : args), binary };
}

function unpack({ text, binary }) {
  if (binary.length === 0) return JSON.parse(text);
  return JSON.parse(text, (_, value) => (value && value._placeholder === true && value.num in binary ? binary[value.num] : value));
}

const sizeOf = ({ text, binary }) => binary.reduce((sum, b) => sum + b.length, 2 * text.length);

// plain returns what can be sent of a value: a clone, or what JSON keeps of it.
function plain(value) {
  try {
    return structuredClone(value);
  } catch {
    try {
      return JSON.parse(JSON.stringify(value) || "null");
    } catch {
      return {};
    }
  }
}

const wireOf = (opts) => ({ rooms: [...opts.rooms], except: [...(opts.except || [])], flags: { ...opts.flags } });
const optsOf = ({ rooms, except, flags }) => ({ rooms: new Set(rooms), except: new Set(except), flags });

function describe(socket) {
  const { sessionStore, ...handshake } = socket.handshake; // a session store may contain itself
  return { id: socket.id, handshake, rooms: [...socket.rooms], data: socket.data || {} };
}

// Servers and their namespaces

const numbers = new WeakMap(); // server -> its number: the order of creation, the same in each process of the app
const members = new Map(); // "NUMBER NAMESPACE" -> adapter
let servers = 0;
let reported = 0;

function numberOf(server) {
  if (!numbers.has(server)) numbers.set(server, ++servers);
  return numbers.get(server);
}

// report tells the node host how many servers have our adapter.
function report() {
  const count = new Set([...members.values()].map((adapter) => adapter.nsp.server)).size;
  if (count !== reported) tell({ act: "adapters", servers: (reported = count) });
}

// adapterOn returns our adapter, on top of one of the package socket.io-adapter.
function adapterOn(Base) {
  const base = Base.prototype;
  return class SiderealAdapter extends Base {
    #key;
    #server;
    #uid = randomBytes(8).toString("hex");
    #open = true;
    #peers = new Set(); // uids of the namespace's adapters in other processes
    #asked = new Map(); // id of a question -> { missing, answers, done }
    #asking = new Map(); // id of an emit with acks -> { missing, peers, count, ack }

    constructor(nsp) {
      super(nsp);
      this.#server = numberOf(nsp.server);
      this.#key = `${this.#server} ${nsp.name}`;
      if (this.#server > MOST_SERVERS) this.#open = false;
      else process.nextTick(() => this.#isIn()); // the app may still set another adapter
    }

    // isIn reports whether the namespace uses this adapter. The first time it enters the cluster, and it
    // leaves once the app has replaced it.
    #isIn() {
      if (!this.#open) return false;
      const inUse = this.nsp.adapter === this;
      const known = members.get(this.#key) === this;
      if (inUse && !known) {
        members.set(this.#key, this);
        report();
        this.#send(HELLO);
      } else if (!inUse && known) {
        this.#leave();
      }
      return inUse;
    }

    look() {
      this.#isIn();
    }

    #leave() {
      this.#open = false;
      if (members.get(this.#key) !== this) return;
      this.#send(GONE);
      members.delete(this.#key);
      report();
      for (const uid of this.#peers) this.#forget(uid);
    }

    close() {
      this.#leave();
      return super.close();
    }

    serverCount() {
      return Promise.resolve(1 + this.#peers.size);
    }

    // send returns false if the message can't be sent.
    #send(type, data, requesterUid) {
      const message = { act: "adapter", server: this.#server, uid: this.#uid, nsp: this.nsp.name, type };
      if (data !== undefined) message.data = data;
      if (requesterUid !== undefined) message.requesterUid = requesterUid;
      try {
        tell(message);
        return true;
      } catch {
        return false; // it can't be cloned
      }
    }

    // say sends something to all others.
    #say(type, data) {
      if (this.#send(type, data) || this.#send(type, plain(data))) return true;
      uncarried("value");
      return false;
    }

    #isShared(opts) {
      if (opts.flags && opts.flags.local) return false;
      if (this.#server > MOST_SERVERS && this.nsp.adapter === this) uncarried("servers");
      return this.#isIn();
    }

    // packetOf returns the packet of an event for other processes, or null.
    #packetOf({ type, data }) {
      if (this.nsp.server.opts && this.nsp.server.opts.parser) return { type, data }; // only it knows what clients get
      let packed;
      try {
        packed = pack(data);
      } catch {
        uncarried("value"); // the clients' encoder throws it at the app
        return null;
      }
      if (sizeOf(packed) > MOST_BYTES) {
        uncarried("size");
        return null;
      }
      return { type, ...packed };
    }

    // What the app asks. Others hear of it before this process acts, so the order is that of the app's calls.

    broadcast(packet, opts) {
      if (this.#isShared(opts)) {
        const copy = this.#packetOf(packet);
        if (copy) this.#say(BROADCAST, { packet: copy, opts: wireOf(opts) });
      }
      super.broadcast(packet, opts);
    }

    broadcastWithAck(packet, opts, clientCount, ack) {
      if (this.#isShared(opts)) {
        const copy = this.#packetOf(packet);
        const requestId = randomBytes(8).toString("hex");
        const peers = new Set(this.#peers);
        if (copy && this.#say(BROADCAST, { packet: copy, requestId, opts: wireOf(opts) })) {
          this.#asking.set(requestId, { missing: new Set(peers), peers, count: clientCount, ack });
          setTimeout(() => this.#asking.delete(requestId), opts.flags.timeout || TIMEOUT).unref();
        } else {
          for (let n = peers.size; n > 0; n--) clientCount(0);
        }
      }
      super.broadcastWithAck(packet, opts, clientCount, ack);
    }

    addSockets(opts, rooms) {
      if (this.#isShared(opts)) this.#say(JOIN, { opts: wireOf(opts), rooms: [...rooms] });
      return super.addSockets(opts, rooms);
    }

    delSockets(opts, rooms) {
      if (this.#isShared(opts)) this.#say(LEAVE, { opts: wireOf(opts), rooms: [...rooms] });
      return super.delSockets(opts, rooms);
    }

    disconnectSockets(opts, close) {
      if (this.#isShared(opts)) this.#say(DISCONNECT, { opts: wireOf(opts), close: !!close });
      return super.disconnectSockets(opts, close);
    }

    async fetchSockets(opts) {
      const own = await super.fetchSockets(opts);
      return this.#isShared(opts) ? own.concat(await this.#fetch(opts)) : own;
    }

    // sockets returns the ids of sockets: allSockets() in Socket.IO 3.
    async sockets(rooms) {
      const ids = await super.sockets(rooms);
      if (this.#isIn()) for (const { id } of await this.#fetch({ rooms, flags: {} })) ids.add(id);
      return ids;
    }

    #fetch(opts) {
      return new Promise((resolve, reject) => {
        const timeout = (opts.flags && opts.flags.timeout) || TIMEOUT;
        this.#ask(FETCH, { opts: wireOf(opts) }, timeout, (err, answers) => (err ? reject(err) : resolve(answers.flat())));
      });
    }

    serverSideEmit(packet) {
      if (!this.#isIn()) return;
      const ack = typeof packet[packet.length - 1] === "function" ? packet.pop() : null;
      if (ack) this.#ask(EVENT, { packet }, TIMEOUT, ack);
      else this.#say(EVENT, { packet });
    }

    // ask sends a question and collects the answers of all others. It doesn't wait for those that leave.
    #ask(type, data, timeout, done) {
      if (this.#peers.size === 0) return done(null, []);
      const requestId = randomBytes(8).toString("hex");
      const question = { missing: new Set(this.#peers), answers: [] };
      const timer = setTimeout(() => question.done(new Error(`timeout reached: missing ${question.missing.size} responses`)), timeout);
      question.done = (err) => {
        clearTimeout(timer);
        this.#asked.delete(requestId);
        done(err || null, question.answers);
      };
      this.#asked.set(requestId, question);
      if (!this.#say(type, { requestId, ...data })) question.done(new Error("the arguments cannot be sent to other processes"));
    }

    #answered({ uid, data }, answers) {
      const question = this.#asked.get(data.requestId);
      if (!question || !question.missing.delete(uid)) return;
      question.answers.push(answers);
      if (question.missing.size === 0) question.done();
    }

    #forget(uid) {
      this.#peers.delete(uid);
      for (const question of this.#asked.values()) {
        if (question.missing.delete(uid) && question.missing.size === 0) question.done();
      }
      for (const { missing, count } of this.#asking.values()) {
        if (missing.delete(uid)) count(0);
      }
    }

    // What others ask

    receive(message) {
      const { type, uid, data } = message;
      switch (type) {
        case HELLO:
        case BEAT:
          this.#peers.add(uid);
          break;
        case GONE:
          this.#forget(uid);
          break;
        case BROADCAST:
          this.#deliver(uid, data);
          break;
        case JOIN:
          for (const socket of this.#matching(data.opts)) socket.join(data.rooms);
          break;
        case LEAVE:
          for (const socket of this.#matching(data.opts)) for (const room of data.rooms) socket.leave(room);
          break;
        case DISCONNECT:
          for (const socket of this.#matching(data.opts)) socket.disconnect(data.close);
          break;
        case FETCH:
          this.#describe(uid, data);
          break;
        case EVENT:
          this.#raise(uid, data);
          break;
        case FETCHED:
          this.#answered(message, data.sockets);
          break;
        case EVENT_ANSWER:
          this.#answered(message, data.packet);
          break;
        case COUNT: {
          const asking = this.#asking.get(data.requestId);
          if (asking && asking.missing.delete(uid)) asking.count(data.clientCount);
          break;
        }
        case ACK: {
          const asking = this.#asking.get(data.requestId);
          if (asking && asking.peers.has(uid)) asking.ack(data.packet);
        }
      }
    }

    // matching returns the sockets of this process that opts select.
    #matching({ rooms, except }) {
      const without = new Set();
      for (const room of except) for (const id of this.rooms.get(room) || []) without.add(id);
      const ids = rooms.length === 0 ? this.sids.keys() : rooms.flatMap((room) => [...(this.rooms.get(room) || [])]);
      return [...new Set(ids)].filter((id) => !without.has(id) && this.nsp.sockets.has(id)).map((id) => this.nsp.sockets.get(id));
    }

    #deliver(from, { packet: { type, data, text, binary }, requestId, opts }) {
      const packet = { type, data: text === undefined ? data : unpack({ text, binary }) };
      if (requestId === undefined) {
        base.broadcast.call(this, packet, optsOf(opts));
      } else if (!base.broadcastWithAck) {
        this.#send(COUNT, { requestId, clientCount: 0 }, from);
      } else {
        const count = (clientCount) => this.#send(COUNT, { requestId, clientCount }, from);
        const ack = (answer) => this.#send(ACK, answer === undefined ? { requestId } : { requestId, packet: answer }, from);
        base.broadcastWithAck.call(this, packet, optsOf(opts), count, ack);
      }
    }

    #describe(from, { opts, requestId }) {
      const sockets = this.#matching(opts).map(describe);
      if (this.#send(FETCHED, { requestId, sockets }, from)) return;
      const plainer = sockets.map((socket) => ({ ...socket, handshake: plain(socket.handshake), data: plain(socket.data) }));
      this.#send(FETCHED, { requestId, sockets: plainer }, from);
    }

    #raise(from, { packet, requestId }) {
      if (!this.nsp._onServerSideEmit) return; // before Socket.IO 4.1
      if (requestId === undefined) return this.nsp._onServerSideEmit(packet);
      let answered = false;
      this.nsp._onServerSideEmit([
        ...packet,
        (answer) => {
          if (answered) return;
          answered = true;
          const data = answer === undefined ? { requestId } : { requestId, packet: answer };
          if (!this.#send(EVENT_ANSWER, data, from)) this.#send(EVENT_ANSWER, { requestId, packet: plain(answer) }, from);
        },
      ]);
    }
  };
}

process.on("internalMessage", (message) => {
  if (!message || message.cmd !== COMMAND || message.act !== "adapter") return;
  const adapter = members.get(`${message.server} ${message.nsp}`);
  if (adapter) adapter.receive(message);
});

setInterval(() => {
  for (const adapter of [...members.values()]) adapter.look();
}, LOOK).unref();

// The hook

const ours = new WeakMap(); // class of a socket.io-adapter -> ours on top of it
const required = new WeakSet(); // such classes that a require has shown

function classOn(Base) {
  if (!ours.has(Base)) ours.set(Base, adapterOn(Base));
  return ours.get(Base);
}

const wrapped = new WeakMap(); // exports of a socket.io-adapter -> those that socket.io gets

function withOurs(exports) {
  if (!wrapped.has(exports)) {
    const own = {};
    for (const name of ["Adapter", "SessionAwareAdapter"]) {
      if (typeof exports[name] === "function") own[name] = { value: classOn(exports[name]), enumerable: true };
    }
    wrapped.set(exports, Object.create(exports, own));
  }
  return wrapped.get(exports);
}

// isServer reports whether a module is the one in the package socket.io that chooses adapters.
function isServer(module) {
  if (!module || !module.filename || !/[\\/]dist[\\/]index\.js$/.test(module.filename)) return false;
  try {
    return Module._load(path.join(path.dirname(module.filename), "..", "package.json")).name === "socket.io";
  } catch {
    return false;
  }
}

const load = Module._load;
Module._load = function (request, parent, ...rest) {
  const exports = load.call(this, request, parent, ...rest);
  if (request !== "socket.io-adapter" || !exports) return exports;
  for (const name of ["Adapter", "SessionAwareAdapter"]) if (exports[name]) required.add(exports[name]);
  return isServer(parent) ? withOurs(exports) : exports;
};

// Bundles

const known = new WeakMap(); // class -> whether it looks like a default adapter

// looksDefault reports whether a class is one that Socket.IO 4.1 and later use by default, and that no require
// has shown.
function looksDefault(Class) {
  if (typeof Class !== "function" || required.has(Class)) return false;
  if (!known.has(Class)) {
    const own = Object.getOwnPropertyNames(Class.prototype);
    const { serverSideEmit } = Class.prototype;
    known.set(
      Class,
      own.includes("serverSideEmit")
        ? Object.getPrototypeOf(Class.prototype) === EventEmitter.prototype && String(serverSideEmit).includes("this adapter does not support the serverSideEmit")
        : own.sort().join() === "broadcast,constructor,persistSession,restoreSession" && looksDefault(Object.getPrototypeOf(Class)),
    );
  }
  return known.get(Class);
}

// replace gives the server of an adapter ours, as the app could. It runs before anybody can be connected.
function replace(adapter, Class) {
  const { nsp } = adapter;
  const server = nsp && nsp.adapter === adapter && nsp.server;
  if (!server || typeof server.adapter !== "function" || server.adapter() !== Class) return; // the app has set another
  if (server.opts && server.opts.adapter) return; // the app has set this one
  server.adapter(classOn(Class));
}

const { init } = EventEmitter; // what each emitter's constructor calls
EventEmitter.init = function (...args) {
  init.apply(this, args);
  if (typeof this.delAll === "function" && looksDefault(this.constructor)) process.nextTick(replace, this, this.constructor);
};
