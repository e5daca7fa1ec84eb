// Checks of the protocol app that need a short ping interval. The timeout is far above what a busy machine needs to answer.
import { check, equal } from "./conformance-kit.mjs";

const E = "/engine.io/";
const S = "/socket.io/";

export default function add(t) {
  check("polling: pings are sent and answered", async () => {
    const p = await t.poll(E);
    for (let i = 0; i < 3; i++) {
      equal((await p.get()).text, "2");
      equal((await p.post("3")).text, "ok");
    }
  });
  check("polling: a silent client is dropped", async () => {
    const p = await t.poll(E);
    equal((await p.get()).text, "2");
    await p.get(); // waits until the server gives up
    equal((await p.get()).status, 400);
  });
  check("websocket: pings are sent and answered", async () => {
    const s = await t.socket(E);
    s.mute = true;
    for (let i = 0; i < 3; i++) {
      equal(await s.next("ping"), "2");
      s.send("3");
    }
    s.close();
  });
  check("websocket: a silent client is dropped", async () => {
    const s = await t.socket(E);
    s.mute = true;
    const lively = await t.socket(E);
    await s.end();
    equal(s.items, ["2"], "what came before");
    lively.send("4hello");
    equal(await lively.next(), "4hello");
    lively.close();
  });
  check("an event that is followed by a disconnect in one payload is dropped", async () => {
    const p = await t.poll(S);
    await p.post("40");
    await p.packets(2);
    equal((await p.post('42["message",1]\x1e41')).text, "ok");
    equal((await p.get()).text, "2");
  });
  check("websocket: a close packet ends the session in the end", async () => {
    const s = await t.socket(E);
    s.mute = true;
    s.send("1");
    await s.end();
  });
}
