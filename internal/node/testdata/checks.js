// Checks with the official client, each by name: node checks.js NAME JSON-of-its-parameters. A failure is a stack and exit 1.
"use strict";
const assert = require("assert").strict;
const http = require("http");
const { io } = require("socket.io-client");

const open = [];

function connect(url, opts = {}) {
  const { nsp = "/", ...rest } = opts;
  return new Promise((resolve, reject) => {
    const socket = io(url + nsp, { forceNew: true, reconnection: false, rejectUnauthorized: false, ...rest });
    open.push(socket);
    socket.once("connect", () => resolve(socket));
    socket.once("connect_error", reject);
  });
}

async function ask(socket, ...args) {
  try {
    return await socket.timeout(20000).emitWithAck(...args);
  } catch (e) {
    throw new Error(`${JSON.stringify(args)} to ${socket.io.uri}: ${e.message}`);
  }
}

async function must(socket, ...args) {
  const { ok, error } = await ask(socket, ...args);
  assert.equal(error, undefined, `${args[0]}: ${error}`);
  return ok;
}

const said = (socket) => new Promise((resolve) => socket.once("said", (...args) => resolve(args)));

async function eventually(check) {
  for (let i = 0; ; i++) {
    try {
      return await check();
    } catch (e) {
      if (i > 200) throw e;
      await new Promise((r) => setTimeout(r, 50));
    }
  }
}

// one from each worker, by connecting as often as it takes
async function oneOfEach(url, workers, opts = {}) {
  const byPid = new Map();
  for (let i = 0; byPid.size < workers; i++) {
    assert(i < 40 * workers, `clients reach ${byPid.size} of ${workers} workers`);
    const socket = await connect(url, { ...opts, query: { name: `client${i}` } });
    const { pid } = await ask(socket, "whoami");
    if (byPid.has(pid)) socket.close();
    else byPid.set(pid, socket);
  }
  return [...byPid.values()];
}

function request(url, { agent, method = "GET", body, headers } = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { agent, method, headers }, (res) => {
      let text = "";
      res.setEncoding("utf8");
      res.on("data", (chunk) => (text += chunk));
      res.on("end", () => resolve({ status: res.statusCode, text, headers: res.headers }));
    });
    req.on("error", reject);
    req.end(body);
  });
}

const checks = {
  async transports({ url }) {
    for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
      const socket = await connect(url, { transports });
      if (transports.length > 1 && socket.io.engine.transport.name === "polling") {
        await new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
      }
      const got = await ask(socket, "echo", "text", { a: [1, null, "ä€😀"] }, Buffer.from([0, 1, 255]));
      assert.deepEqual(JSON.parse(JSON.stringify(got)), "text");
      const bytes = Buffer.alloc(600_000, "x");
      const back = await ask(socket, "echo", bytes);
      assert(Buffer.isBuffer(back) && back.equals(bytes), "600 kB of bytes");
      const text = "ü".repeat(300_000);
      assert.equal(await ask(socket, "echo", text), text);
      const who = await ask(socket, "whoami");
      assert.match(who.address, /^(::ffff:)?127\.0\.0\.1$/, `${transports}: address ${who.address}`);
      assert.equal(who.transport, transports[transports.length - 1]);
      socket.close();
    }
    const { text } = await request(`${url}/page`, { headers: { "Sidereal-Client": "9.9.9.9:9" } });
    const page = JSON.parse(text);
    assert.match(page.address, /^(::ffff:)?127\.0\.0\.1$/);
    assert.deepEqual(Object.keys(page.headers).filter((name) => name.startsWith("sidereal")), []);
    const big = await request(`${url}/big`, { method: "POST", body: Buffer.alloc(3_000_000) });
    assert.equal(big.text, "3000000");
  },

  // urls are the entries to a cluster of so many servers
  async cluster({ urls, servers, raw = false }) {
    const clients = [];
    for (const [url, workers] of urls) clients.push(...(await oneOfEach(url, workers)));
    assert.equal(clients.length, servers);
    const [first] = clients;
    for (const socket of clients) {
      socket.on("question", (arg, ack) => ack(socket.id));
      await eventually(async () => assert.equal(await must(socket, "count"), servers));
    }
    const ids = clients.map((s) => s.id).sort();
    for (const socket of clients) {
      // broadcasts, text and binary
      const all = Promise.all(clients.map(said));
      socket.emit("say", null, "hello", { deep: [Buffer.from("bytes")] });
      for (const [text, { deep }] of await all) {
        assert.equal(text, "hello");
        assert(Buffer.isBuffer(deep[0]) && deep[0].toString() === "bytes");
      }
      // fetchSockets, serverSideEmit, acks: from everyone, about everyone
      const found = await must(socket, "fetch", null);
      assert.deepEqual(found.map((s) => s.id), ids);
      assert(found.every((s) => s.pid && s.query.startsWith("client") && s.rooms.includes(s.id)), JSON.stringify(found));
      const answers = await must(socket, "servers");
      assert.equal(new Set(answers).size, servers - 1, `${answers}`);
      if (raw) assert(answers.every((a) => a.endsWith("true true")), `what siblings say keeps its types: ${answers}`);
      assert.deepEqual((await must(socket, "ask", null)).sort(), ids);
      for (const other of clients) {
        const got = await must(socket, "askOne", other.id);
        assert.deepEqual(got, [other.id]);
      }
    }
    // rooms: some are numbers
    for (const room of ["room", 42]) {
      await ask(first, "joinAll", room);
      await eventually(async () => assert.equal((await must(first, "fetch", room)).length, servers));
      const all = Promise.all(clients.map(said));
      clients[servers - 1].emit("say", room, "to the room");
      await all;
      await ask(clients[servers - 1], "leaveAll", room);
      await eventually(async () => assert.equal((await must(first, "fetch", room)).length, 0));
    }
    // other namespaces
    const chat = [];
    for (const [url] of urls) chat.push(await connect(url, { nsp: "/chat" }));
    const heard = Promise.all(chat.map(said));
    await eventually(async () => assert.equal((await must(chat[0], "fetch", null)).length, chat.length));
    chat[0].emit("say", null, "in the chat");
    await heard;
    // and out
    await ask(first, "join", "out");
    const gone = new Promise((resolve) => first.once("disconnect", resolve));
    clients[servers - 1].emit("kick", "out");
    assert.equal(await gone, "io server disconnect");
  },

  async keepalive({ url, sessions }) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const path = `${url}/socket.io/?EIO=4&transport=polling`;
    const pids = new Set();
    const sids = [];
    for (let i = 0; i < sessions; i++) {
      const { status, text } = await request(path, { agent });
      assert.equal(status, 200, text);
      const { sid } = JSON.parse(text.slice(1));
      sids.push(sid);
    }
    for (const sid of sids) {
      const post = await request(`${path}&sid=${sid}`, { agent, method: "POST", body: "40" });
      assert.equal(post.status, 200, post.text);
      const poll = await request(`${path}&sid=${sid}`, { agent });
      assert.equal(poll.status, 200, poll.text);
      assert.match(poll.text, /^40\{"sid"/);
      await request(`${path}&sid=${sid}`, { agent, method: "POST", body: '420["whoami"]' });
      const answer = await request(`${path}&sid=${sid}`, { agent });
      pids.add(JSON.parse(answer.text.slice(3))[0].pid);
      assert.equal((await request(`${path}&sid=${sid}`, { agent, method: "POST", body: "1" })).status, 200);
    }
    assert(pids.size > 1, "sessions of one worker only");
    assert.equal(Object.values(agent.sockets).flat().length + Object.values(agent.freeSockets).flat().length, 1);
    agent.destroy();
  },

  async burst({ url, sessions, parallel }) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: parallel });
    const path = `${url}/socket.io/?EIO=4&transport=polling`;
    const statuses = {};
    let left = sessions;
    const note = ({ status }) => (statuses[status] = (statuses[status] || 0) + 1);
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        while (left-- > 0) {
          const opened = await request(path, { agent });
          note(opened);
          if (opened.status !== 200) continue;
          const { sid } = JSON.parse(opened.text.slice(1));
          note(await request(`${path}&sid=${sid}`, { agent, method: "POST", body: "40" }));
          note(await request(`${path}&sid=${sid}`, { agent, method: "POST", body: "1" }));
        }
      })
    );
    agent.destroy();
    assert.deepEqual(statuses, { 200: 3 * sessions });
  },

  // clients say once they are there, and leave by themselves from a worker that drains
  async drain({ url, pid }) {
    const clients = [];
    for (const transports of [["polling"], ["websocket"]]) {
      for (let i = 0; clients.filter((c) => c.transports === transports).length < 3; i++) {
        assert(i < 300);
        const socket = await connect(url, { transports, reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 50 });
        const at = (await ask(socket, "whoami")).pid;
        if (at === pid) clients.push({ socket, transports });
        else socket.close();
      }
    }
    for (const { socket } of clients) {
      socket.io.engine.on("upgradeError", (e) => console.error("upgrade error", e));
      socket.reasons = [];
      socket.on("disconnect", (reason) => socket.reasons.push(reason));
    }
    console.log("there");
    for (const { socket } of clients) {
      await eventually(async () => {
        assert(socket.connected && socket.reasons.length > 0);
        assert.notEqual((await ask(socket, "whoami")).pid, pid);
      });
      assert.deepEqual(socket.reasons, ["transport close"]);
    }
  },

  // clients that poll, all but one of which end their sessions themselves
  async leave({ url }) {
    for (let i = 0; i < 5; i++) {
      const socket = await connect(url, { transports: ["polling"] });
      await ask(socket, "whoami");
      if (i === 1 || i === 2) socket.close();
      if (i > 2) socket.io.engine.close();
    }
    console.log("left");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    process.stdin.unref();
  },

  // clients by each transport at each URL, which are there until a line on its input
  async stay({ urls, clients: n }) {
    const clients = [];
    for (const url of urls) {
      for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
        for (let i = 0; i < n; i++) {
          const socket = io(url, { transports, forceNew: true, reconnection: false });
          clients.push(socket);
          await new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject));
          const last = transports[transports.length - 1];
          await eventually(async () => assert.equal(socket.io.engine.transport.name, last));
        }
      }
    }
    console.log("there");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    for (const socket of clients) socket.close();
    process.stdin.unref();
  },

  // clients that talk all the while their workers are replaced; ends with a line on its input
  async load({ url, clients: n, by = ["websocket", "polling"] }) {
    const clients = [];
    const problems = [];
    let echoes = 0;
    let lost = 0;
    for (let i = 0; i < n; i++) {
      const transports = [by[i % by.length]];
      const socket = await connect(url, { transports, reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 100 });
      socket.on("disconnect", (reason, details) => {
        if (reason === "transport close" || reason === "io client disconnect") return;
        problems.push(`${transports}: ${reason}: ${details && `${details.message} ${details.description} ${details.context && details.context.responseText}`}`);
      });
      socket.on("connect_error", (e) => problems.push(`${transports}: ${e.message} ${e.description || ""}`));
      clients.push(socket);
    }
    const pids = async () => new Set(await Promise.all(clients.map(async (s) => (await ask(s, "whoami")).pid)));
    const before = await pids();
    let over = false;
    const talking = clients.map(async (socket) => {
      while (!over) {
        await socket
          .timeout(10000)
          .emitWithAck("echo", "x")
          .then(
            () => echoes++,
            () => lost++ // under way when its session was moved
          );
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    });
    console.log("talking");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    await eventually(async () => assert(clients.every((s) => s.connected)));
    const after = await pids();
    over = true;
    clients.forEach((socket) => socket.close());
    assert.deepEqual(problems, []);
    assert([...after].every((pid) => !before.has(pid)), "somebody is at an old worker");
    console.log(`${echoes} echoes, ${lost} lost`);
    process.stdin.unref();
  },

  // servers of the same processes, apart from each other; the last one has an adapter of the app's
  async apart({ urls }) {
    const clients = [];
    for (const url of urls) clients.push(await oneOfEach(url, 2));
    for (const [i, [socket]] of clients.entries()) {
      const own = i === urls.length - 1;
      await eventually(async () => assert.equal(await ask(socket, "adapter"), own ? "Own" : "SiderealAdapter"));
      await eventually(async () => assert.equal(await ask(socket, "servers"), own ? 1 : 2));
    }
    const heard = clients.map((list) => list.map((socket) => []));
    clients.forEach((list, i) => list.forEach((socket, j) => socket.on("said", (text) => heard[i][j].push(text))));
    for (const [i, [socket]] of clients.entries()) socket.emit("say", `server ${i}`);
    const all = ([[a, b], [c, d], [e]]) => [a, b, c, d, e];
    await eventually(async () => assert.deepEqual(all(heard), [["server 0"], ["server 0"], ["server 1"], ["server 1"], ["server 2"]]));
    for (const list of clients) for (const socket of list) await ask(socket, "servers"); // what was on its way has come
    assert.deepEqual(heard.pop()[1], []);
  },

  // namespaces of all kinds, on two workers; their names lead nobody into another's, nor into another server's
  async spaces({ urls }) {
    const names = ["/", "/staff", "/press", "/tenant-1", "/tenant-2", "/made-up"];
    const all = []; // { socket, heard, said }
    for (const url of urls) {
      await assert.rejects(connect(url, { nsp: "/staff", auth: { token: "press" } }), /not for staff/);
      for (const nsp of names) {
        const pair = await oneOfEach(url, 2, { nsp, auth: { token: nsp.slice(1) } });
        for (const socket of pair) assert.equal(await ask(socket, "adapter"), "SiderealAdapter");
        await eventually(async () => assert.equal(await ask(pair[0], "count"), 2));
        for (const socket of pair) {
          const heard = [];
          socket.on("said", (text) => heard.push(text));
          all.push({ pair, socket, heard, text: `${url} ${nsp}` });
        }
      }
    }
    const first = all.filter(({ pair, socket }) => socket === pair[0]);
    for (const { socket, text } of first) {
      socket.emit("say", text);
      socket.emit("others", `${text} once more`);
    }
    for (const { pair, socket, heard, text } of all) {
      const wanted = socket === pair[0] ? [text] : [text, `${text} once more`];
      await eventually(() => assert.deepEqual(heard, wanted));
    }
    for (const { socket } of all) await ask(socket, "count"); // what was on its way has come
    for (const { pair, socket, heard } of all) assert.equal(heard.length, socket === pair[0] ? 1 : 2);
  },

  // a broadcast that can't leave its process
  async lose({ url, result }) {
    const [socket] = await oneOfEach(url, 2);
    const heard = result === "sent" ? said(socket) : null;
    assert.equal(await ask(socket, "lose"), result);
    await heard;
  },

  // clients of whom some talk to all while workers leave and come; ends with a line on its input. A client whose worker stays
  // hears everything that was acknowledged, and each talker's words in their order.
  async hear({ url, clients: n, talkers }) {
    const clients = [];
    for (let i = 0; i < n; i++) {
      const transports = [["websocket"], ["polling"]][i % 2];
      const socket = await connect(url, { transports, reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 100 });
      const client = { socket, heard: [], left: false };
      socket.on("told", (by, word) => client.heard.push([by, word]));
      socket.on("disconnect", () => (client.left = true));
      clients.push(client);
    }
    const before = new Set(await Promise.all(clients.map(async ({ socket }) => (await ask(socket, "whoami")).pid)));
    let over = false;
    const acknowledged = [];
    const talking = clients.slice(0, talkers).map(async ({ socket }, by) => {
      for (let word = 0; !over; word++) {
        await socket
          .timeout(20000)
          .emitWithAck("tell", by, word)
          .then(
            () => acknowledged.push(`${by} ${word}`),
            () => {} // its worker was killed
          );
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    });
    console.log(`talking to ${before.size}`);
    await new Promise((resolve) => process.stdin.once("data", resolve));
    await eventually(async () => assert(clients.every(({ socket }) => socket.connected)));
    over = true;
    await Promise.all(talking);
    const steady = clients.filter(({ left }) => !left);
    assert(steady.length > 0 && steady.length < n, `${steady.length} of ${n} clients kept their worker`);
    for (const { heard } of steady) {
      await eventually(async () => {
        const all = new Set(heard.map(([by, word]) => `${by} ${word}`));
        const lost = acknowledged.filter((id) => !all.has(id));
        assert.equal(lost.length, 0, `lost: ${lost.slice(0, 10)} of ${acknowledged.length}`);
      });
      const last = [];
      for (const [by, word] of heard) {
        assert(last[by] === undefined || word > last[by], `${by} said ${last[by]}, then ${word}`);
        last[by] = word;
      }
    }
    assert.equal((await must(steady[0].socket, "fetch", null)).length, n);
    process.stdin.unref();
  },

  // what all versions of Socket.IO have in common, on two workers; with offsets, clients get one behind each event's arguments
  async older({ url, offsets = false }) {
    const without = (args) => (offsets ? args.slice(0, -1) : args);
    const clients = await oneOfEach(url, 2);
    const [first, second] = clients;
    const all = clients.map((s) => s.id).sort();
    await eventually(async () => assert.deepEqual(await ask(first, "ids", null), all));
    const both = Promise.all(clients.map(said));
    first.emit("say", null, { deep: [Buffer.from("bytes"), new Date(0)] });
    for (const [{ deep }] of await both) {
      assert(Buffer.isBuffer(deep[0]) && deep[0].toString() === "bytes");
      assert.equal(deep[1], "1970-01-01T00:00:00.000Z");
    }
    const one = said(second);
    first.emit("others", "you");
    assert.deepEqual(without(await one), ["you"]);
    await ask(second, "join", "room");
    assert.deepEqual(await ask(first, "ids", "room"), [second.id]);
    const there = said(second);
    first.emit("say", "room", "in the room");
    assert.deepEqual(without(await there), ["in the room"]);
    assert.equal((await ask(first, "servers")).length, 1);
  },

  async say({ url, event = "whoami", args = [] }) {
    const socket = await connect(url, { transports: ["websocket"] });
    console.log(JSON.stringify(await ask(socket, event, ...args)));
  },
};

const [name, params] = process.argv.slice(2);
checks[name](JSON.parse(params || "{}")).then(
  () => {
    open.forEach((socket) => socket.close());
    console.log("done");
    process.exit(0);
  },
  (e) => {
    console.error(`${name}:`, e);
    process.exit(1);
  }
);
