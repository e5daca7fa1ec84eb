// Checks of the protocol app: what the test suites of the Engine.IO and the Socket.IO protocol ask for, and a little more.
import { check, equal, matches, join, until } from "./conformance-kit.mjs";

const E = "/engine.io/";
const S = "/socket.io/";
const interval = 25000, timeout = 20000; // see conformance-heartbeat.mjs for shorter ones

// awaited waits until the server has the session's poll.
async function awaited(t, p) {
  await until("the server has the poll", async () => await (await t.fetch(`/writable?${p.sid}`)).text() === "true");
}

export default function add(t) {
  engineHandshake(t);
  engineMessages(t);
  engineClose(t);
  engineUpgrade(t);
  socketConnect(t);
  socketMessages(t);
  socketInvalid(t);
}

function engineHandshake(t) {
  for (const [path, name] of [[E, "engine"], [S, "socket"]]) {
    check(`${name}: handshake over polling`, async () => {
      const p = await t.poll(path);
      equal(Object.keys(p.open), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
      equal({ ...p.open, sid: 0 }, { sid: 0, upgrades: ["websocket"], pingInterval: interval, pingTimeout: timeout, maxPayload: 1000000 });
      equal(p.sid.length, 20, "length of the sid");
      equal(p.headers.get("access-control-allow-origin"), "*");
      equal(p.headers.get("content-type"), "text/plain; charset=UTF-8");
    });
    check(`${name}: handshake over websocket`, async () => {
      const s = await t.socket(path);
      equal({ ...s.open, sid: 0 }, { sid: 0, upgrades: [], pingInterval: interval, pingTimeout: timeout, maxPayload: 1000000 });
      s.close();
    });
  }
  for (const [query, code] of [["transport=polling", 5], ["EIO=abc&transport=polling", 5], ["EIO=4", 0], ["EIO=4&transport=abc", 0]]) {
    check(`handshake with ${query} is refused`, async () => {
      const r = await t.fetch(`${E}?${query}`);
      equal([r.status, (await r.json()).code], [400, code]);
    });
  }
  for (const method of ["POST", "PUT"]) {
    check(`handshake by ${method} is refused`, async () => {
      const r = await t.fetch(`${E}?EIO=4&transport=polling`, { method });
      equal([r.status, (await r.json()).code], [400, 2]);
    });
  }
  for (const query of ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"]) {
    check(`websocket handshake with ${query} is refused`, async () => {
      const s = t.bare(E, "x");
      s.ws.terminate();
      const ws = new s.ws.constructor(`${t.ws}${E}?${query}`);
      ws.on("error", () => {});
      await new Promise((done) => ws.on("close", done));
    });
  }
}

function engineMessages(t) {
  check("polling: messages are echoed", async () => {
    const p = await t.poll(E);
    const posted = await p.post("4hello");
    equal([posted.status, posted.text], [200, "ok"]);
    equal(await p.packets(1), ["4hello"]);
    equal((await p.post("4test1\x1e4test2\x1e4test3")).text, "ok");
    equal(await p.packets(3), ["4test1", "4test2", "4test3"]);
    equal((await p.post("bAQIDBA==")).text, "ok");
    equal(await p.packets(1), ["bAQIDBA=="]);
    equal((await p.post("4€ ü 😀")).text, "ok");
    equal(await p.packets(1), ["4€ ü 😀"]);
  });
  check("polling: a pending poll is answered", async () => {
    const p = await t.poll(E);
    const pending = p.get();
    await awaited(t, p);
    await p.post("4late");
    equal((await pending).text, "4late");
  });
  check("polling: an invalid packet ends the session", async () => {
    const p = await t.poll(E);
    await p.post("abc").catch(() => {});
    equal((await p.get()).status, 400);
  });
  check("polling: overlapping polls end the session", async () => {
    const p = await t.poll(E);
    const both = await Promise.all([p.get(), p.get()]); // either may arrive first
    equal(both.map((r) => r.status).sort(), [200, 400]);
    equal(both.find((r) => r.status === 200).text, "1");
  });
  check("websocket: messages are echoed", async () => {
    const s = await t.socket(E);
    s.send("4hello");
    equal(await s.next(), "4hello");
    s.send(Buffer.from([1, 2, 3, 4]));
    equal(await s.next(), Buffer.from([1, 2, 3, 4]));
    s.send(Buffer.alloc(0));
    equal(await s.next(), Buffer.alloc(0));
    s.close();
  });
  check("websocket: an invalid packet ends the session", async () => {
    const s = await t.socket(E);
    s.send("abc");
    await s.end();
  });
}

function engineClose(t) {
  check("polling: close ends the session", async () => {
    const p = await t.poll(E);
    const pending = p.get();
    await awaited(t, p);
    equal((await p.post("1")).text, "ok");
    equal([(await pending).status, (await pending).text], [200, "6"]);
    equal((await p.get()).status, 400);
  });
}

function engineUpgrade(t) {
  const upgrade = async () => {
    const p = await t.poll(E);
    const s = t.bare(E, `transport=websocket&sid=${p.sid}`);
    await new Promise((done) => s.ws.on("open", done));
    s.send("2probe");
    equal(await s.next("probe"), "3probe");
    s.send("5", "4upgraded");
    equal(await s.next("echo"), "4upgraded");
    return [p, s];
  };
  check("upgrade: messages go over the websocket", async () => {
    const [, s] = await upgrade();
    s.send("4hello");
    equal(await s.next(), "4hello");
    s.close();
  });
  check("upgrade: polls are refused afterwards", async () => {
    const [p, s] = await upgrade();
    equal((await p.get()).status, 400);
    s.send("4hello");
    equal(await s.next(), "4hello");
    s.close();
  });
  check("upgrade: another websocket is closed afterwards", async () => {
    const [p, s] = await upgrade();
    const other = t.bare(E, `transport=websocket&sid=${p.sid}`);
    await other.end();
    s.send("4hello");
    equal(await s.next(), "4hello");
    s.close();
  });
  check("upgrade: what waits follows on the websocket, in order", async () => {
    const p = await t.poll(E);
    await p.post("4a\x1e4b");
    const s = t.bare(E, `transport=websocket&sid=${p.sid}`);
    await new Promise((done) => s.ws.on("open", done));
    s.send("2probe");
    equal(await s.next("probe"), "3probe");
    s.send("5", "4c");
    equal([await s.next(), await s.next(), await s.next()], ["4a", "4b", "4c"]);
    s.close();
  });
}

function socketConnect(t) {
  for (const [namespace, auth, back] of [["/", "", "{}"], ["/", '{"token":"123"}', '{"token":"123"}'], ["/custom", "", "{}"], ["/custom", '{"a":[1,{"b":null}]}', '{"a":[1,{"b":null}]}']]) {
    check(`connect to ${namespace} with ${auth || "nothing"}`, async () => {
      const s = await t.socket(S);
      equal(Object.keys(await join(s, namespace, auth)), ["sid"]);
      equal(await s.next("auth"), `42${namespace === "/" ? "" : `${namespace},`}["auth",${back}]`);
      s.close();
    });
  }
  check("connect without the comma", async () => {
    const s = await t.socket(S);
    s.send("40/custom");
    matches(await s.next(), /^40\/custom,\{"sid":"[\w-]{20}"\}$/);
    s.close();
  });
  check("connect over polling", async () => {
    const p = await t.poll(S);
    equal((await p.post("40")).text, "ok");
    const [connect, auth] = await p.packets(2);
    matches(connect, /^40\{"sid":"[\w-]{20}"\}$/);
    equal(auth, '42["auth",{}]');
  });
  check("an unknown namespace is refused", async () => {
    const s = await t.socket(S);
    s.send("40/random");
    equal(await s.next(), '44/random,{"message":"Invalid namespace"}');
    await join(s);
    s.close();
  });
  for (const packet of ["4abc", '40"auth"', "40[]", "40null", "4", "47", "41", '42["message"]']) {
    check(`${packet} as the first packet closes`, async () => {
      const s = await t.socket(S);
      s.send(packet);
      await s.end();
    });
  }
  check("a second CONNECT closes", async () => {
    const s = await t.socket(S);
    await join(s);
    s.send("40");
    await s.end();
  });
  check("who joins nothing is closed after connectTimeout", async () => {
    const s = await t.socket(S);
    const other = await t.socket(S);
    await join(other);
    await s.end();
    await other.next("auth");
    other.send('42["message",1]');
    equal(await other.next(), '42["message-back",1]');
    other.close();
  });
  check("leaving one namespace keeps the other", async () => {
    const s = await t.socket(S);
    await join(s);
    await s.next("auth");
    await join(s, "/custom");
    await s.next("auth");
    s.send("41/custom,", '42["message","to the main one"]');
    equal(await s.next(), '42["message-back","to the main one"]');
    s.close();
  });
  check("leaving the main namespace keeps the connection", async () => {
    const s = await t.socket(S);
    await join(s);
    await s.next("auth");
    s.send("41");
    const other = await t.socket(S); // joins nothing
    await other.end();
    equal(s.items, [], "what came");
    await join(s);
    s.close();
  });
}

const ready = async (t) => {
  const s = await t.socket(S);
  await join(s);
  await s.next("auth");
  return s;
};

function socketMessages(t) {
  check("message and acknowledgement", async () => {
    const s = await ready(t);
    s.send('42["message",1,"2",{"3":[true]}]');
    equal(await s.next(), '42["message-back",1,"2",{"3":[true]}]');
    s.send('42456["message-with-ack",1,"2",{"3":[false]}]');
    equal(await s.next(), '43456[1,"2",{"3":[false]}]');
    s.send('42007["message-with-ack"]');
    equal(await s.next(), "437[]");
    s.close();
  });
  for (const packed of ['[1.0,-0,1e3,1e21,1e-7,0.10,9007199254740993,1e400,-0.0,123456789012345678901234]', '["\\u0041\\/","<>&",1.5,-7,0,true,null]']) {
    check(`values are printed as JavaScript does: ${packed}`, async () => {
      const s = await ready(t);
      s.send(`42["message",${packed}]`);
      equal(JSON.parse((await s.next()).slice(2))[1], JSON.parse(JSON.stringify(JSON.parse(packed))));
      s.close();
    });
  }
  check("binary message and acknowledgement", async () => {
    const s = await ready(t);
    const [a, b] = [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])];
    s.send('452-["message",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]', a, b);
    equal(await s.next(), '452-["message-back",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]');
    equal([await s.next(), await s.next()], [a, b]);
    s.send('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', a, b);
    equal(await s.next(), '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    equal([await s.next(), await s.next()], [a, b]);
    s.close();
  });
  check("placeholders are plain data in packets without attachments", async () => {
    const s = await ready(t);
    s.send('42["message",{"_placeholder":true,"num":0}]');
    equal(await s.next(), '42["message-back",{"_placeholder":true,"num":0}]');
    s.close();
  });
}

function socketInvalid(t) {
  const packets = [
    ["4abc"], ["42{}"], ['42abc["message-with-ack",1]'], ["42[]"], ["42[null]"], ["42[{}]"], ['42["message"'], ['42-1["message"]'],
    ['42["connect"]'], ['42["disconnecting"]'], ['42["newListener"]'], ["43{}"], ["44{}"], ["41{}"], ['42/ns["x"]'], ['42/custom,["x"]'],
    ['450-["message"]'], ['45-["message"]'], ['45x-["message"]'], ['4511-["message"]'], ['451-["message",{"_placeholder":true,"num":1}]', Buffer.from([1])],
    ['451-["message",{"_placeholder":true,"num":0}]', '42["message"]'], [Buffer.from([1])],
  ];
  for (const list of packets) {
    check(`${list.join(" then ")} closes`, async () => {
      const s = await ready(t);
      s.send(...list);
      await s.end();
    });
  }
  for (const packet of ['42["unknown",1]', '421["unknown"]', "42[1]", "42", '42["__proto__"]', '42["error"]'.replace("error", "err")]) {
    check(`${packet} is ignored`, async () => {
      const s = await ready(t);
      s.send(packet);
      s.send('42["message"]');
      equal(await s.next(), '42["message-back"]');
      s.close();
    });
  }
}
