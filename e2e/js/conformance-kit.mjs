// What the conformance checks are written with: raw Engine.IO over HTTP and WebSocket, and a list of checks.
import { isDeepStrictEqual, inspect } from "node:util";
import { connect } from "node:net";
import { WebSocket } from "ws";
import { io } from "socket.io-client";

// show is a value for people, as much of it as they can take.
const show = (v) => {
  const text = inspect(v, { depth: 6, maxStringLength: 300 });
  return text.length < 2000 ? text : `${text.slice(0, 2000)}...`;
};

const checks = [];
export const check = (name, run) => checks.push({ name, run, alone: false });
// checkAlone is for what others would disturb: it runs before them.
export const checkAlone = (name, run) => checks.push({ name, run, alone: true });

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export function equal(got, want, what = "value") {
  if (!isDeepStrictEqual(got, want)) throw new Error(`${what} is ${show(got)}, want ${show(want)}`);
}

export function matches(got, pattern, what = "value") {
  if (!pattern.test(got)) throw new Error(`${what} is ${show(got)}, want ${pattern}`);
}

export function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`${what}: nothing within ${ms} ms`)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// until asks again and again until the answer is true.
export function until(what, f, ms = 30000) {
  let late = false;
  const asking = async () => {
    while (!late && !(await f()));
  };
  return within(asking(), ms, what).finally(() => { late = true; });
}

// Inbox is a list of what arrived, to be awaited one by one.
export class Inbox {
  items = [];
  waiting = [];
  push(item) {
    const next = this.waiting.shift();
    if (next) next(item);
    else this.items.push(item);
  }
  next(what = "message", ms = 30000) {
    if (this.items.length) return Promise.resolve(this.items.shift());
    return within(new Promise((done) => this.waiting.push(done)), ms, what);
  }
}

// Target is the server under check.
export class Target {
  constructor(url) {
    this.url = url;
    this.ws = url.replace("http", "ws");
    this.port = Number(new URL(url).port);
  }
  fetch(path, options) {
    return fetch(this.url + path, options);
  }
  // request sends bytes over a connection of their own and gives all that comes back until the end.
  request(text, ms = 30000) {
    return within(new Promise((done, fail) => {
      const socket = connect(this.port, "127.0.0.1");
      let got = "";
      const began = Date.now();
      socket.on("connect", () => socket.write(text));
      socket.on("data", (data) => { got += data.toString("latin1"); });
      socket.on("error", fail);
      socket.on("close", () => done({ text: got, ms: Date.now() - began }));
    }), ms, "end of the connection");
  }
  async poll(path, query = "") {
    const p = new Poll(this, path, query);
    const answer = await p.get();
    equal(answer.status, 200, "status of the handshake");
    p.open = JSON.parse(answer.text.slice(1));
    p.sid = p.open.sid;
    p.headers = answer.headers;
    return p;
  }
  // socket opens a WebSocket and takes the open packet off.
  async socket(path, query = "", options = {}) {
    const s = this.bare(path, `transport=websocket${query}`, options);
    const first = await s.next("open packet");
    matches(first, /^0\{/, "open packet");
    s.open = JSON.parse(first.slice(1));
    return s;
  }
  bare(path, query, options = {}) {
    return new Raw(new WebSocket(`${this.ws}${path}?EIO=4&${query}`, { perMessageDeflate: false, ...options }));
  }
  client(namespace, options = {}) {
    return new Client(io(this.url + namespace, { forceNew: true, reconnectionDelay: 20, transports: ["websocket"], ...options }));
  }
}

// Poll is a session over polling.
export class Poll {
  constructor(target, path, query) {
    this.target = target;
    this.base = `${path}?EIO=4&transport=polling${query}`;
    this.sid = "";
  }
  path() {
    return this.base + (this.sid ? `&sid=${this.sid}` : "");
  }
  async get(options) {
    const r = await this.target.fetch(this.path(), options);
    return { status: r.status, headers: r.headers, text: await r.text() };
  }
  async post(body, options = {}) {
    const r = await this.target.fetch(this.path(), { method: "POST", body, ...options });
    return { status: r.status, headers: r.headers, text: await r.text() };
  }
  // packets polls until as many packets came. Pings are answered.
  async packets(n) {
    const list = [];
    while (list.length < n) {
      for (const packet of (await this.get()).text.split("\x1e")) {
        if (packet === "2") await this.post("3");
        else list.push(packet);
      }
    }
    return list;
  }
}

// Raw is a WebSocket whose messages are packets; text is a string, binary a Buffer. Pings are answered.
export class Raw extends Inbox {
  constructor(ws) {
    super();
    this.ws = ws;
    this.closed = new Promise((done) => ws.on("close", (code) => done(code)));
    ws.on("error", (e) => { this.error = e; });
    ws.on("upgrade", (response) => { this.headers = response.headers; });
    ws.on("message", (data, binary) => {
      if (!binary && String(data) === "2" && !this.mute) return ws.send("3");
      this.push(binary ? data : String(data));
    });
  }
  send(...packets) {
    for (const p of packets) this.ws.send(p);
  }
  end(ms = 30000) {
    return within(this.closed, ms, "close");
  }
  close() {
    this.ws.close();
  }
}

// join connects a raw WebSocket to a namespace, and gives what the CONNECT packet says.
export async function join(s, namespace = "/", auth = "") {
  const prefix = namespace === "/" ? "" : `${namespace},`;
  s.send(`40${prefix}${auth}`);
  const answer = await s.next("CONNECT");
  if (!answer.startsWith(`40${prefix}{`)) throw new Error(`CONNECT was answered ${answer}`);
  return JSON.parse(answer.slice(2 + prefix.length));
}

// Client wraps an official client.
export class Client {
  constructor(socket) {
    this.socket = socket;
  }
  once(event, ms = 30000) {
    return within(new Promise((done) => this.socket.once(event, (...args) => done(args))), ms, `event ${event}`);
  }
  async connected() {
    if (!this.socket.connected) await this.once("connect");
    return this.socket;
  }
  ask(event, ...args) {
    return this.socket.timeout(30000).emitWithAck(event, ...args);
  }
  async answer(event, back, ...args) {
    const come = this.once(back);
    this.socket.emit(event, ...args);
    return come;
  }
  close() {
    this.socket.disconnect();
    this.socket.io.engine?.close();
  }
}

// run goes through the checks, some at a time, and reports what failed.
export async function run(only, width = 1) {
  const failed = [];
  const wanted = checks.filter((c) => !only || c.name.includes(only));
  const total = wanted.length;
  const work = async (queue) => {
    for (let c = queue.shift(); c; c = queue.shift()) {
      try {
        await within(Promise.resolve(c.run()), 60000, "the check");
      } catch (e) {
        failed.push(c.name);
        console.log(`FAIL ${c.name}: ${e.message}`);
      }
    }
  };
  await work(wanted.filter((c) => c.alone));
  const together = wanted.filter((c) => !c.alone);
  await Promise.all(Array.from({ length: width }, () => work(together)));
  console.log(`${total - failed.length} of ${total} checks hold`);
  return failed.length === 0;
}
