// A script as deployments have them. It prints what it gets, one line per call, without what differs by nature.
const { promisify } = require("util");
const pm2 = require(process.argv[2]);
const call = (name, ...args) => promisify(pm2[name]).apply(pm2, args);
const brief = (found) => found.map((p) => [p.pm2_env.name, p.pm2_env.status]);
const print = (what, value) => process.stdout.write(`> ${what} ${JSON.stringify(value)}\n`);
const told = []; // what the bus has told, and nobody has asked for
const asked = [];

function tell(text, value) {
  const i = asked.findIndex((a) => a.text === text);
  if (i >= 0) asked.splice(i, 1)[0].resolve(value);
  else told.push({ text, value });
}

const heard = (text) =>
  new Promise((resolve) => {
    const i = told.findIndex((t) => t.text === text);
    if (i >= 0) resolve(told.splice(i, 1)[0].value);
    else asked.push({ text, resolve });
  });

async function life(mode) {
  const name = `module-${mode}`;
  print("start", brief(await call("start", { script: "app.js", name, exec_mode: mode, instances: 1 })).map((p) => p[0]));
  const started = await heard("start true");
  print("started", [started.process.name, typeof started.at, typeof started.process.pm_id, started.process.exec_mode]);
  const out = await heard("log:out");
  print("out", [out.data, out.process.name, out.process.namespace]);
  print("err", (await heard("log:err")).data);
  const [{ pm_id }] = await call("describe", name);
  const sent = await call("sendDataToProcessId", pm_id, { type: "process:msg", topic: "t", data: { a: 1 } });
  print("sent", [sent.success, sent.data.data, sent.data.id === pm_id]);
  print("raw", (await heard("process:msg")).raw);
  const { data } = await heard("answer");
  print("answer", [data.packet.data, data.packet.topic, data.err, data.mine]);
  await call("sendSignalToProcessName", "SIGUSR2", name);
  print("signalled", (await heard("signalled")).data);
  print("restart", brief(await call("restart", name)));
  print("restarted", (await heard("restart true")).process.name);
  await heard("log:out"); // it runs its code
  await call("sendDataToProcessId", { id: pm_id, type: "process:msg", topic: true, data: { crash: true } });
  await heard("exit 3");
  await heard("log:out");
  print("pids", (await call("getPID", name)).length);
  print("reload", (await call("reload", name)).length);
  print("reloaded", (await heard("reload true")).process.name);
  print("stop", brief(await call("stop", name)));
  print("stopped", (await heard("stop true")).process.status);
  print("again", brief(await call("start", name)));
  print("delete", brief(await call("delete", name)));
  print("left", (await call("describe", name)).length);
}

async function main() {
  await call("connect");
  const bus = await call("launchBus");
  bus.on("process:event", (e) => {
    tell(`${e.event} ${e.manually}`, e);
    if (e.event === "exit") tell(`exit ${e.process.exit_code}`, e);
  });
  for (const event of ["process:msg", "answer", "signalled"]) bus.on(event, (e) => tell(event, e));
  bus.on("log:*", (kind, e) => e.process.name.startsWith("module-") && tell(`log:${kind}`, e));
  for (const mode of ["fork", "cluster"]) {
    await life(mode);
    told.length = 0;
  }
  const wrong = [["restart", "nosuch"], ["stop", "nosuch"], ["delete", "nosuch"], ["describe", "nosuch"], ["list"], ["start", "nosuch.js"],
    ["sendDataToProcessId", 77, { topic: 1, data: 1 }], ["sendDataToProcessId", 0, {}], ["sendSignalToProcessName", "SIGUSR2", "nosuch"],
    ["reloadLogs"], ["getPID", "nosuch"], ["restart", "all"], ["reset", "nosuch"], ["dump"]];
  for (const [name, ...args] of wrong) {
    const value = await call(name, ...args).catch((err) => [err instanceof Error, err.message]);
    print([name, ...args].join(" "), value);
  }
  await call("disconnect");
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
