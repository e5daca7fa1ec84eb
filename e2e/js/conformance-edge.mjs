// Checks of the edge app. "[v]": seen on Node's server, and so by conformance-reference.mjs.
import { check, checkAlone, equal, matches, sleep, join, until } from "./conformance-kit.mjs";

const S = "/socket.io/";

export default function add(t) {
  handshakes(t);
  refusals(t);
  bundles(t);
  events(t);
  rooms(t);
  endings(t);
  upgrades(t);
  recovery(t);
}

// ready is a raw client that is connected; without a mark of recovery its packets are bare.
async function ready(t, path = S, auth = "") {
  const s = await t.socket(path);
  Object.assign(s, await join(s, "/", auth));
  return s;
}

// ask sends an event with an id and gives the acknowledgement.
let id = 100;
async function ask(s, ...event) {
  const n = id++;
  s.send(`42${n}${JSON.stringify(event)}`);
  const held = [];
  for (;;) {
    const p = await s.next(`acknowledgement of ${event[0]}`);
    if (typeof p === "string" && p.startsWith(`43${n}[`)) {
      s.items.unshift(...held);
      return JSON.parse(p.slice(2 + String(n).length));
    }
    held.push(p);
  }
}

// quiet checks that nothing came unasked: an answer comes after all that was sent before it.
async function quiet(...sockets) {
  for (const s of sockets) {
    equal(await ask(s, "echo", "quiet"), ["quiet"]);
    equal(s.items, [], "what came unasked");
  }
}

// observed asks the app on a connection of its own.
async function observed(t, ...event) {
  const s = await ready(t);
  try {
    return (await ask(s, ...event))[0];
  } finally {
    s.close();
  }
}

// ended waits until the app has seen the end of a socket, and gives the reason.
async function ended(t, id) {
  const s = await ready(t);
  try {
    let reason = null;
    await until(`the app sees the end of ${id}`, async () => ([reason] = await ask(s, "take-reason", id))[0] !== null);
    return reason;
  } finally {
    s.close();
  }
}

// awaited waits until the server has the poll of a socket.
async function awaited(t, id) {
  await until("the server has the poll", () => observed(t, "writable", id));
}

// polling opens a session by polling and connects to /.
async function polling(t) {
  const p = await t.poll(S);
  await p.post("40");
  p.id = JSON.parse((await p.get()).text.slice(2)).sid;
  return p;
}

function handshakes(t) {
  check("headers of a polling handshake", async () => {
    const p = await t.poll(S);
    const get = (name) => p.headers.get(name);
    equal([get("x-initial"), get("x-every"), get("access-control-allow-origin"), get("access-control-allow-credentials"), get("vary")],
      ["1", "1", "http://allowed.example", "true", "Origin"]);
    equal(get("set-cookie"), `edge=${p.sid}; Path=/x; HttpOnly; SameSite=Strict`);
    equal({ ...p.open, sid: 0 }, { sid: 0, upgrades: ["websocket"], pingInterval: 25000, pingTimeout: 20000, maxPayload: 100000 });
    const posted = await p.post("40");
    equal([posted.headers.get("x-initial"), posted.headers.get("x-every"), posted.headers.get("set-cookie")], [null, "1", null]);
  });
  check("headers of a websocket handshake", async () => {
    const s = await t.socket(S);
    equal([s.headers["x-initial"], s.headers["x-every"], s.headers["set-cookie"]], ["1", "1", undefined]);
    s.close();
  });
  check("preflight", async () => {
    const r = await t.fetch(`${S}?EIO=4&transport=polling`, { method: "OPTIONS", headers: { "Access-Control-Request-Headers": "x-a" } });
    equal([r.status, r.headers.get("access-control-allow-methods"), r.headers.get("access-control-allow-headers"), r.headers.get("vary")],
      [204, "GET,HEAD,PUT,PATCH,POST,DELETE", "x-a", "Origin, Access-Control-Request-Headers"]);
  });
  for (const path of ["/", "/other", "/socket.io?EIO=4&transport=polling", "/socket%2Eio/?EIO=4&transport=polling"]) {
    check(`404 at ${path}`, async () => equal((await t.fetch(path)).status, 404));
  }
  check("any tail of the path", async () => equal((await t.fetch(`${S}some/thing?EIO=4&transport=polling`)).status, 200));
  check("an upgrade elsewhere is cut after a second, unanswered", async () => {
    const { text, ms } = await t.request("GET /other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    equal(text, "");
    if (ms < 900) throw new Error(`after ${ms} ms`);
  });
}

function refusals(t) {
  checkAlone("refusals, and what is recorded of them", async () => {
    const s = await ready(t);
    await ask(s, "errors");
    const get = async (query, options) => {
      const r = await t.fetch(`${S}?${query}`, options);
      return [r.status, await r.text(), r.headers.get("content-type"), r.headers.get("x-every")];
    };
    const reject = (value) => ({ headers: { "x-reject": value } });
    const json = (code, message) => JSON.stringify({ code, message });
    const wants = [
      [["EIO=4"], 400, 0, "Transport unknown", {}],
      [["EIO=4&transport=nope"], 400, 0, "Transport unknown", { transport: "nope" }],
      [["EIO=4&transport=polling&sid=nope"], 400, 1, "Session ID unknown", { sid: "nope" }],
      [["EIO=4&transport=polling", { method: "POST" }], 400, 2, "Bad handshake method", { method: "POST" }],
      [["EIO=4&transport=websocket"], 400, 3, "Bad request", { name: "TRANSPORT_HANDSHAKE_ERROR" }],
      [["EIO=4&transport=polling", reject("plain")], 403, 4, "Forbidden", { message: null }],
      [["EIO=4&transport=polling", reject("go away")], 403, 4, "Forbidden", { message: "go away" }, "go away"],
      [["EIO=3&transport=polling"], 400, 5, "Unsupported protocol version", { protocol: 3 }],
      [["transport=polling"], 400, 5, "Unsupported protocol version", { protocol: 3 }],
    ];
    const recorded = [];
    for (const [request, status, code, message, context, told = message] of wants) {
      equal(await get(...request), [status, json(code, told), "application/json", null], request[0]);
      recorded.push({ code, message, context });
    }
    equal((await ask(s, "errors"))[0], recorded, "recorded errors");
    equal((await ask(s, "errors"))[0], [], "recorded errors after that");
    s.close();
  });
  for (const [value, body] of [["plain", "Forbidden"], ["go away", "go away"]]) {
    check(`a websocket is refused with ${body}`, async () => {
      const { text } = await t.request(`GET ${S}?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nx-reject: ${value}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
      matches(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
      equal(text.split("\r\n\r\n")[1], body);
    });
  }
  check("too large a body", async () => {
    const p = await polling(t);
    equal((await p.post("4" + "x".repeat(100000))).status, 413);
    equal((await p.post('42["echo",1]')).text, "ok");
    equal((await p.get()).text, '42["echo",1]');
  });
  check("too large a message", async () => {
    const s = await ready(t);
    s.send(`42["echo","${"x".repeat(100000)}"]`);
    equal(await s.end(), 1009);
  });
  check("who joins nothing is closed", async () => {
    const s = await t.socket(S);
    s.send("40/nope,");
    equal(await s.next(), '44/nope,{"message":"Invalid namespace"}');
    await s.end();
  });
  for (const [auth, want] of [["", '44/mw,{"message":"not authorized"}'], ['{"token":"no","data":1}', '44/mw,{"message":"not authorized","data":{"content":"retry"}}']]) {
    check(`/mw refuses ${auth}`, async () => {
      const s = await ready(t);
      s.send(`40/mw,${auth}`);
      equal(await s.next(), want);
      s.close();
    });
  }
  check("/mw lets in", async () => {
    const s = await t.socket(S);
    await join(s, "/mw", '{"token":"ok"}');
    s.close();
  });
}

function bundles(t) {
  for (const name of ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js", "socket.io.min.js.map"]) {
    check(`bundle ${name}`, async () => {
      const r = await t.fetch(S + name);
      equal([r.status, r.headers.get("content-type"), r.headers.get("cache-control"), r.headers.get("etag")],
        [200, name.endsWith("map") ? "application/json; charset=utf-8" : "application/javascript; charset=utf-8", "public, max-age=0", '"4.8.4"']);
      if (!name.endsWith("map")) matches((await r.text()).slice(0, 100), /Socket\.IO v4\.8\.4/);
      equal(r.headers.get("access-control-allow-origin"), "http://allowed.example");
    });
  }
  for (const tag of ['"4.8.4"', 'W/"4.8.4"']) {
    check(`bundle not modified since ${tag}`, async () => {
      const r = await t.fetch(`${S}socket.io.js?x`, { headers: { "If-None-Match": tag } });
      equal([r.status, await r.text(), r.headers.get("etag")], [304, "", null]);
    });
  }
  for (const [accept, want] of [["br, gzip", "br"], ["gzip, deflate, br", "gzip"], ["deflate;q=0.5, gzip", "gzip"], ["deflate, gzip", "deflate"], ["deflate", "deflate"], ["identity", null]]) {
    check(`bundle for ${accept}`, async () => {
      const r = await t.fetch(`${S}socket.io.min.js`, { headers: { "Accept-Encoding": accept } });
      equal(r.headers.get("content-encoding"), want);
      matches((await r.text()).slice(0, 100), /Socket\.IO v4\.8\.4/);
    });
  }
  check("no bundle of another name", async () => {
    const r = await t.fetch(`${S}socket.io.txt`);
    equal([r.status, (await r.json()).code], [400, 0]);
  });
}

function events(t) {
  const use = (name, run, path = S) => check(name, async () => {
    const s = await ready(t, path);
    try {
      await run(s);
    } finally {
      s.close();
    }
  });
  use("echo", async (s) => {
    s.send('42["echo",1,"<a&b>",{"z":1,"a":[null]}]');
    equal(await s.next(), '42["echo",1,"<a&b>",{"z":1,"a":[null]}]');
    s.send('427["echo",1,"x"]');
    equal(await s.next(), '437[1,"x"]');
    s.send('42["echo"]');
    equal(await s.next(), '42["echo"]');
    s.send('451-8["echo",{"_placeholder":true,"num":0}]', Buffer.from([7]));
    equal([await s.next(), await s.next()], ['461-8[{"_placeholder":true,"num":0}]', Buffer.from([7])]);
    s.send('42 1["echo",2]');
    equal(await s.next(), "431[2]");
  });
  use("an answer is given once", async (s) => {
    s.send('429["ack-twice"]');
    equal([await s.next(), await s.next()], ["439[1]", '42["after"]']);
    await quiet(s);
  });
  use("a question is answered", async (s) => {
    s.send('42["ask",1000]');
    const question = await s.next();
    matches(question, /^42\d+\["question",1\]$/);
    s.send(`43${question.match(/^42(\d+)/)[1]}["yes"]`);
    equal(await s.next(), '42["answer",null,"yes"]');
  });
  use("a question times out, others go on", async (s) => {
    s.send('42["ask",150]', '42["echo",1]');
    const got = [await s.next(), await s.next()];
    const question = got.find((p) => p.includes("question"));
    matches(question, /^42\d+\["question",1\]$/);
    equal(got.includes('42["echo",1]'), true);
    equal(await s.next(), '42["answer","operation has timed out",null]');
    s.send(`43${question.match(/^42(\d+)/)[1]}["late"]`);
    await quiet(s);
  });
  use("binary out", async (s) => {
    s.send('42["bin"]');
    equal(await s.next(), '452-["bin",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}],"b":null,"d":"1970-01-01T00:00:00.000Z"}]');
    equal([await s.next(), await s.next()], [Buffer.from([1, 2]), Buffer.from([3])]);
  });
  use("a burst keeps its order", async (s) => {
    s.send('42["burst",200]');
    for (let i = 0; i < 200; i++) equal(await s.next(), `42["n",${i}]`);
  });
  use("of three volatile events only the first", async (s) => {
    s.send('42["volatile",3]');
    equal([await s.next(), await s.next()], ['42["v",0]', '42["end"]']);
  });
  use("big", async (s) => {
    s.send('42["big",300000]');
    equal((await s.next()).length, 300000 + '42["big",""]'.length);
  });
  use("a blocked event", async (s) => {
    s.send('42["blocked"]'); // ours answers it if it has an id
    equal(await s.next(), '42["errored","blocked event"]');
    await quiet(s);
  });
  use("namespaces", async (s) => {
    await join(s, "/custom");
    s.send('42/custom,["echo","x",1]');
    equal(await s.next(), '42/custom,["echo","x",1]');
    equal(await ask(s, "has-nsp", "/custom"), [true]);
    equal(await ask(s, "has-nsp", "/nope"), [false]);
  });
  use("a dynamic namespace comes and goes", async (s) => {
    equal(await ask(s, "has-nsp", "/dyn-7"), [false]);
    await join(s, "/dyn-7");
    equal(await s.next(), '42/dyn-7,["nsp","/dyn-7"]');
    equal(await ask(s, "has-nsp", "/dyn-7"), [true]);
    s.send("41/dyn-7,");
    await until("the namespace is gone", async () => !(await ask(s, "has-nsp", "/dyn-7"))[0]);
    s.send("40/dyn-x,");
    equal(await s.next(), '44/dyn-x,{"message":"Invalid namespace"}');
  });
  check("over polling, volatile needs a poll", async () => {
    const p = await polling(t);
    const room = `v${Math.random()}`;
    await p.post(`42["volatile",3]\x1e421["join","${room}"]`);
    await until("the events are handled", async () => (await observed(t, "fetch", room)).length === 1);
    equal((await p.get()).text.split("\x1e"), ['42["end"]', `431[["${p.id}","${room}"]]`]);
    const pending = p.get();
    await awaited(t, p.id);
    await p.post('42["volatile",3]');
    const first = (await pending).text; // with the end or without
    equal(first.includes("end") ? first.split("\x1e") : [first, (await p.get()).text], ['42["v",0]', '42["end"]']);
  });
}

function rooms(t) {
  check("rooms and broadcasts", async () => {
    const [a, b, c] = await Promise.all([ready(t), ready(t), ready(t)]);
    const room = `r${Math.random()}`, other = `o${Math.random()}`;
    equal(await ask(a, "join", room), [[a.sid, room]]);
    equal(await ask(a, "join", other), [[a.sid, room, other]]);
    equal(await ask(a, "join", room), [[a.sid, room, other]]);
    equal(await ask(b, "join", room), [[b.sid, room]]);
    equal((await ask(a, "fetch", room))[0].sort(), [a.sid, b.sid].sort());
    a.send(`42["bcast",{"self":false,"to":["${room}"]},"m",1]`);
    equal(await b.next(), '42["m",1]');
    a.send(`42["bcast",{"self":true,"to":["${room}","${other}"]},"m",2]`);
    equal([await a.next(), await b.next()], ['42["m",2]', '42["m",2]']);
    a.send(`42["bcast",{"self":true,"to":["${room}"],"except":["${other}"]},"m",3]`);
    equal(await b.next(), '42["m",3]');
    a.send(`42["bcast",{"self":false,"to":["${a.sid}"]},"m",4]`);
    equal(await ask(a, "leave", room), [[a.sid, other]]);
    c.send(`42["bcast",{"self":true,"to":["${c.sid}"]},"m",5]`);
    equal(await c.next(), '42["m",5]');
    await quiet(a, b, c);
    for (const s of [a, b, c]) s.close();
  });
  check("a broadcast is answered", async () => {
    const [a, b] = await Promise.all([ready(t), ready(t)]);
    const room = `r${Math.random()}`;
    equal(await ask(a, "bcast-ack", room, 30000), [null, []]);
    await ask(a, "join", room);
    await ask(b, "join", room);
    for (const [s, value] of [[a, '"a",2'], [b, '["b"]']]) {
      s.next().then((q) => s.send(`43${q.match(/^42(\d+)\["q"\]$/)[1]}[${value}]`));
    }
    a.send(`42777["bcast-ack","${room}",30000]`);
    const [error, answers] = JSON.parse((await a.next("answers")).slice(5)); // behind the question
    equal([error, answers.sort()], [null, ["a", ["b"]].sort()]);
    b.next().then((q) => b.send(`43${q.match(/^42(\d+)/)[1]}[1]`));
    equal(await ask(a, "bcast-ack", room, 150), ["operation has timed out", [1]]);
    for (const s of [a, b]) s.close();
  });
}

function endings(t) {
  const ends = (name, want, run) => check(`reason: ${name}`, async () => {
    const s = await ready(t);
    await run(s);
    equal(await ended(t, s.sid), want);
    s.ws.terminate();
  });
  check("reason: a live socket has none", async () => {
    const s = await ready(t);
    equal(await observed(t, "take-reason", s.sid), null);
    s.close();
  });
  ends("client leaves", "client namespace disconnect", async (s) => s.send("41"));
  ends("client closes", "transport close", async (s) => s.close());
  ends("connection is cut", "transport close", async (s) => s.ws.terminate());
  ends("server leaves", "server namespace disconnect", async (s) => {
    s.send('42["bye"]');
    equal(await s.next(), "41");
  });
  ends("server leaves and closes", "server namespace disconnect", async (s) => {
    await join(s, "/custom");
    s.send('42["bye",true]');
    equal([await s.next(), await s.next()].sort(), ["41", "41/custom,"]);
    await s.end();
  });
  ends("kicked", "server namespace disconnect", async (s) => {
    s.send(`42["kick","${s.sid}",false]`);
    equal(await s.next(), "41");
  });
  ends("engine closed", "forced close", async (s) => {
    s.send('42["eclose"]');
    await s.end();
  });
  for (const packet of ["42{}", "40", "4x", '42/nope,["x"]']) ends(`bad packet ${packet}`, "forced close", async (s) => {
    s.send(packet);
    await s.end();
  });
  check("a bad packet reaches the error handler before the end", async () => {
    const s = await ready(t);
    s.send("42{}");
    equal(await s.next(), '42["errored","invalid payload"]');
    await s.end();
  });
  ends("bad engine packet", "parse error", async (s) => {
    s.send("x");
    await s.end();
  });
  ends("a client's ping", "transport error", async (s) => {
    s.send("2");
    await s.end();
  });
  ends("too large", "transport error", async (s) => {
    s.send("4" + "x".repeat(100001));
    await s.end();
  });
  for (const [packet, want] of [["42{}", null], ["40", "forced server close"]]) {
    check(`reason: bad packet ${packet} between polls`, async () => {
      const p = await polling(t);
      equal((await p.post(`4${packet.slice(1)}`)).text, "ok");
      equal(want ? await ended(t, p.id) : await observed(t, "take-reason", p.id), want);
      let told = "";
      for (let a = await p.get(); a.status === 200; a = await p.get()) told += "\x1e" + a.text;
      matches(told, packet === "40" ? /^\x1e6\x1e1$/ : /^\x1e42\["errored","invalid payload"\]\x1e.*1$/);
      if (!want) equal(await ended(t, p.id), "forced close");
    });
  }
  check("reason: polling client closes", async () => {
    const p = await polling(t);
    await p.post("1");
    equal(await ended(t, p.id), "transport close");
  });
  check("reason: a poll is aborted", async () => {
    const p = await polling(t);
    const stop = new AbortController();
    const pending = p.get({ signal: stop.signal }).catch(() => {});
    await awaited(t, p.id);
    stop.abort();
    await pending;
    equal(await ended(t, p.id), "transport error");
  });
}

function upgrades(t) {
  check("an upgrade that is not finished in time costs nothing", async () => {
    const p = await polling(t);
    const s = t.bare(S, `transport=websocket&sid=${p.sid}`);
    await new Promise((done) => s.ws.on("open", done));
    await s.end();
    await p.post('42["echo",1]');
    equal((await p.get()).text, '42["echo",1]');
  });
  check("a pending poll is let go during the probe", async () => {
    const p = await polling(t);
    const pending = p.get();
    const s = t.bare(S, `transport=websocket&sid=${p.sid}`);
    await new Promise((done) => s.ws.on("open", done));
    equal(s.headers["x-every"], "1");
    s.send("2probe");
    equal(await s.next(), "3probe");
    equal((await pending).text, "6");
    s.send("5", '42["echo",2]');
    equal(await s.next(), '42["echo",2]');
    s.close();
  });
}

function recovery(t) {
  const C = "/csr/";
  const connect = async (auth = "") => {
    const s = await t.socket(C);
    s.send(`40${auth}`);
    return s;
  };
  const fresh = async () => {
    const s = await connect();
    const answer = await s.next();
    matches(answer, /^40\{"sid":"[\w-]{20}","pid":"[\w-]{20}"\}$/);
    return Object.assign(s, JSON.parse(answer.slice(2)));
  };
  const cut = async (s) => {
    s.ws.terminate();
    await ended(t, s.sid);
  };
  const offset = async (s) => {
    s.send('42["hi"]');
    const [, at] = JSON.parse((await s.next()).slice(2));
    equal(typeof at, "string", "type of the offset");
    return at;
  };
  check("recovery brings back id, rooms, data and what was missed, in order", async () => {
    const a = await fresh(), b = await fresh();
    const room = `r${Math.random()}`;
    a.send(`421["set",{"deep":[1]},"${room}"]`);
    equal(await a.next(), "431[]");
    const at = await offset(a);
    await cut(a);
    for (const m of [1, 2]) b.send(`42["bcast","${room}","missed",${m}]`);
    b.send('42["bcast","elsewhere","missed",3]');
    await offset(b); // all of it was sent
    const c = await connect(JSON.stringify({ pid: a.pid, offset: at }));
    const got = [await c.next(), await c.next(), await c.next(), await c.next()];
    matches(got[0], /^42\["missed",1,"[^"]+"\]$/);
    matches(got[1], /^42\["missed",2,"[^"]+"\]$/);
    equal(got[2], `40{"sid":"${a.sid}","pid":"${a.pid}"}`);
    const recovered = JSON.parse(got[3].slice(2));
    equal(recovered.slice(0, 3), ["recovered", { deep: [1] }, [a.sid, room].sort()]);
    equal(recovered.length, 4);
    // It can be done again with the new offset.
    c.ws.terminate();
    await ended(t, a.sid);
    const d = await connect(JSON.stringify({ pid: a.pid, offset: recovered[3] }));
    equal(await d.next(), `40{"sid":"${a.sid}","pid":"${a.pid}"}`);
    for (const s of [b, d]) s.close();
  });
  check("offsets are distinct; questions and volatile events have none", async () => {
    const a = await fresh();
    const [x, y] = [await offset(a), await offset(a)];
    if (x === y) throw new Error(`twice ${x}`);
    a.send('42["ask"]');
    matches(await a.next(), /^42\d+\["question"\]$/);
    a.send('42["vol"]');
    equal(await a.next(), '42["vol"]');
    a.close();
  });
  const lost = (name, run) => check(`no recovery ${name}`, async () => {
    const a = await fresh();
    const at = await offset(a);
    const auth = await run(a, at);
    const c = await connect(JSON.stringify(auth ?? { pid: a.pid, offset: at }));
    const answer = JSON.parse((await c.next()).slice(2));
    if (answer.sid === a.sid || answer.pid === a.pid) throw new Error("it is the old session");
    c.close();
  });
  lost("after the time", async (a) => { await cut(a); await sleep(5150); });
  lost("after the client left", async (a) => { a.send("41"); await ended(t, a.sid); a.close(); });
  lost("after the server disconnected", async (a) => { a.send('42["bye"]'); equal(await a.next(), "41"); await ended(t, a.sid); a.close(); });
  lost("after a parse error", async (a) => { a.send("x"); await a.end(); await ended(t, a.sid); });
  lost("with another pid", async (a, at) => { await cut(a); return { pid: "x".repeat(20), offset: at }; });
  lost("with an unknown offset", async (a) => { await cut(a); return { pid: a.pid, offset: "nope" }; });
  lost("without an offset", async (a) => { await cut(a); return { pid: a.pid }; });
  lost("with a pid that is no string", async (a, at) => { await cut(a); return { pid: [a.pid], offset: at }; });
  check("recovery after a bad packet", async () => {
    const a = await fresh();
    const at = await offset(a);
    a.send("42{}");
    await a.end();
    await ended(t, a.sid);
    const c = await connect(JSON.stringify({ pid: a.pid, offset: at }));
    equal(await c.next(), `40{"sid":"${a.sid}","pid":"${a.pid}"}`);
    c.close();
  });
  check("middlewares are skipped for who comes back", async () => {
    const denied = await connect('{"deny":true}');
    equal(await denied.next(), '44{"message":"denied"}');
    denied.close();
    const a = await fresh();
    const at = await offset(a);
    await cut(a);
    const c = await connect(JSON.stringify({ pid: a.pid, offset: at, deny: true }));
    equal(await c.next(), `40{"sid":"${a.sid}","pid":"${a.pid}"}`);
    c.close();
  });
}
