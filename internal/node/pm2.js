"use strict";
// This is PM2's module for scripts, by way of Sidereal: its calls run the commands of `sidereal`, and
// launchBus follows `sidereal bus`. Processes of Sidereal get it for require("pm2"), also where PM2 itself is
// installed, since PM2 would start a daemon of its own. `sidereal module` writes it for other scripts.

const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");

const MOST_RUNNING = 8; // commands at a time
const MOST_WAITING = 10000; // calls
const MOST_OUTPUT = 256 << 20; // bytes of a command
const FILE = /(\.json|\.ya?ml|\.config\.[cm]?js)$/;

const beside = path.join(__dirname, "sidereal"); // in the daemon's folder: a link to its program
const ours = fs.existsSync(beside);
const program = ours ? beside : "sidereal";
const home = ours ? process.env.PM2_HOME : undefined; // the daemon told its processes

function environment() {
  const env = { ...process.env };
  if (home) env.SIDEREAL_HOME = home;
  return env;
}

// Commands

const waiting = [];
let running = 0;

function next() {
  if (running >= MOST_RUNNING || waiting.length === 0) return;
  running++;
  const { args, input, done } = waiting.shift();
  let ended = false;
  const end = (err, out) => {
    if (ended) return;
    ended = true;
    running--;
    next();
    done(err, out);
  };
  const child = spawn(program, args, { env: environment(), stdio: ["pipe", "pipe", "pipe"] });
  let size = 0;
  const [out, trouble] = [[], []];
  const take = (into) => (chunk) => {
    if ((size += chunk.length) > MOST_OUTPUT) child.kill("SIGKILL");
    else into.push(chunk);
  };
  child.stdout.on("data", take(out));
  child.stderr.on("data", take(trouble));
  child.stdin.on("error", () => {}); // a command that reads nothing
  child.stdin.end(input);
  child.on("error", (err) => end(err.code === "ENOENT" ? new Error("pm2: there is no command sidereal in PATH") : err));
  child.on("close", (code) => {
    if (code === 0) return end(null, Buffer.concat(out).toString());
    const text = Buffer.concat(trouble).toString().trim().replace(/^sidereal: /gm, "");
    end(new Error(text || `sidereal ${args[0]} ended with ${code}`));
  });
}

function run(args, done, input) {
  if (waiting.length >= MOST_WAITING) return process.nextTick(done, new Error("pm2: too many calls wait for their turn"));
  waiting.push({ args: args.map(String), input, done });
  next();
}

// called returns a callback that ends a call once. Without one the script sees errors nevertheless.
function called(cb) {
  if (typeof cb === "function") return cb;
  return (err) => {
    if (err) console.error(`[PM2][ERROR] ${err.message}`);
  };
}

const isFile = (target) => typeof target === "string" && FILE.test(target);

// Lists

function list(opts, cb) {
  const done = called(typeof opts === "function" ? opts : cb);
  run(["jlist"], (err, out) => {
    if (err) return done(err);
    let all;
    try {
      all = JSON.parse(out);
    } catch (e) {
      return done(e);
    }
    done(null, all);
  });
}

// chosen returns the processes that a target means.
function chosen(all, target) {
  const text = String(target);
  if (text === "all") return all;
  if (text.length > 2 && text.startsWith("/") && text.endsWith("/")) {
    const pattern = new RegExp(text.slice(1, -1));
    return all.filter((p) => pattern.test(p.name));
  }
  if (/^\d+$/.test(text)) {
    const byId = all.filter((p) => String(p.pm_id) === text);
    if (byId.length > 0) return byId;
  }
  const named = all.filter((p) => p.name === text);
  return named.length > 0 ? named : all.filter((p) => p.pm2_env.namespace === text);
}

function describe(target, cb) {
  list((err, all) => called(cb)(err, err ? undefined : all.filter((p) => p.name === target || String(p.pm_id) === String(target))));
}

// short is a process as restart, stop and others report it.
function short(p, status) {
  const { name, namespace, pm_id, restart_time, env } = p.pm2_env;
  const own = { name, namespace, pm_id, status: status || p.pm2_env.status, restart_time };
  return { ...own, pm2_env: { ...own, env } };
}

const identity = (p) => [p.pm_id, p.pid, p.pm2_env.created_at, p.pm2_env.restart_time, p.pm2_env.status].join(" ");

// acting calls report with what a command made of the processes that it was about.
function acting(before, args, status, done, input) {
  run(args, (failed) => {
    if (failed) return done(failed);
    list((err, all) => {
      if (err) return done(err);
      const now = new Map(all.map((p) => [p.pm_id, p]));
      done(null, before.map((p) => short(now.get(p.pm_id) || p, status)));
    });
  }, input);
}

// act runs a command about processes of the list, or of a file.
function act(verb, target, flags, status, cb) {
  const done = called(cb);
  list((err, all) => {
    if (err) return done(err);
    let meant;
    try {
      meant = isFile(target) ? null : chosen(all, target);
    } catch (e) {
      return done(e); // an expression that is none
    }
    if (meant && meant.length === 0) return done(new Error(target === "all" ? "process name not found" : "process or namespace not found"));
    if (meant) return acting(meant, [verb, ...flags, target], status, done);
    fromFile([verb, ...flags, target], undefined, all, status, done);
  });
}

// fromFile runs a command about the apps of a file. It is about the processes that it changes.
function fromFile(args, input, before, status, done) {
  const known = new Map(before.map((p) => [p.pm_id, identity(p)]));
  run(args, (failed) => {
    if (failed) return done(failed);
    list((err, all) => {
      if (err) return done(err);
      const now = new Set(all.map((p) => p.pm_id));
      const gone = before.filter((p) => !now.has(p.pm_id)).map((p) => short(p, "stopped"));
      done(null, all.filter((p) => known.get(p.pm_id) !== identity(p)).map((p) => ({ ...p, ...short(p, status), pm2_env: p.pm2_env })).concat(gone));
    });
  }, input);
}

const flagsOf = (opts) => [
  ...(opts.updateEnv ? ["--update-env"] : []),
  ...(typeof opts.env === "string" ? ["--env", opts.env] : []),
  ...(opts.only ? ["--only", [].concat(opts.only).join(",")] : []),
  ...(opts.parallel ? ["--parallel", opts.parallel] : []),
];

// Calls

// withOptions gives a call with optional options its three parameters.
const withOptions = (f) => (target, opts, cb) => (typeof opts === "function" ? f(target, {}, opts) : f(target, opts || {}, cb));

const start = withOptions((target, opts, cb) => {
  const done = called(cb);
  list((err, all) => {
    if (err) return done(err);
    if (target !== null && typeof target === "object") return apps(target, opts, all, done);
    if (isFile(target)) return fromFile(["start", ...flagsOf(opts), target], undefined, all, undefined, done);
    const known = Object.keys(opts).length === 0 ? chosen(all, target) : [];
    if (known.length > 0) return acting(known, ["start", target], undefined, done);
    const cwd = path.resolve(opts.cwd || ".");
    const script = path.resolve(cwd, String(target));
    const name = opts.name || path.parse(script).name;
    if (!opts.force && all.some((p) => p.name === name && p.pm2_env.pm_exec_path === script && p.pm2_env.status !== "stopped"))
      return done(new Error("Script already launched, add -f option to force re-execution"));
    if (!/\s/.test(target) && String(target).includes(".") && !fs.existsSync(script)) return done(new Error(`Script not found: ${script}`));
    apps({ ...opts, script: String(target) }, opts.force ? { force: true } : {}, all, done);
  });
});

// apps starts apps that a script describes.
function apps(described, opts, all, done) {
  const text = JSON.stringify(described, (_, value) => (value instanceof RegExp ? value.source : value));
  fromFile(["start", ...(opts.force || described.force ? ["--force"] : []), ...flagsOf(opts), "-"], text, all, undefined, done);
}

const changing = (verb) =>
  withOptions((target, opts, cb) => {
    if (target === null || typeof target !== "object") return act(verb, target, flagsOf(opts), undefined, cb);
    list((err, all) => (err ? called(cb)(err) : fromFile([verb === "reload" ? "startOrReload" : "startOrRestart", ...flagsOf(opts), "-"], JSON.stringify(target), all, undefined, called(cb))));
  });

// plainly makes a call of a command whose answer is only whether it worked.
const plainly = (...args) => (cb) => run(args, (err) => called(cb)(err, err ? undefined : { success: true }));

function about(verb, target, cb, answer) {
  const done = called(cb);
  list((err, all) => {
    if (err) return done(err);
    const meant = target === undefined ? all : chosen(all, target);
    if (meant.length === 0) return target === undefined ? done(null, answer || []) : done(new Error("Unknown process name"));
    run([...verb, ...(target === undefined ? [] : [target])], (failed) => done(failed, failed ? undefined : answer || meant));
  });
}

function sendDataToProcessId(id, packet, cb) {
  if (id !== null && typeof id === "object") [packet, cb, id] = [id, packet, id.id];
  const done = called(cb);
  packet = { ...packet, id };
  if (id === undefined || packet.data === undefined || !packet.topic) return process.nextTick(done, new Error("ID, DATA or TOPIC field is missing"));
  describe(id, (err, found) => {
    if (err) return done(err);
    if (found.length === 0) return done(new Error(`Process with ID <${id}> unknown.`));
    if (!["online", "launching"].includes(found[0].pm2_env.status)) return done(new Error(`Process with ID <${id}> offline.`));
    run(["message", id], (failed) => done(failed, failed ? undefined : { success: true, data: packet }), JSON.stringify(packet));
  });
}

function dump(force, cb) {
  const done = called(cb);
  list((err, all) => {
    if (err) return done(err);
    if (all.length === 0 && !force) return done(new Error("Process list empty, cannot save empty list"));
    plainly("save", ...(force ? ["--force"] : []))(done);
  });
}

function sendLineToStdin(id, line, separator, cb) {
  const done = called(typeof separator === "function" ? separator : cb);
  run(["send", id, line], (err) => done(err, err ? undefined : { success: true }));
}

// The bus

let bus = null; // { child, listeners }

// Bus calls listeners by an event's name, or by a pattern such as log:*, with the parts that its stars are.
class Bus {
  #listeners = [];

  on(event, listener) {
    const pattern = event.includes("*") ? new RegExp(`^${event.split("*").map((s) => s.replace(/[^\w]/g, "\\$&")).join("(.*)")}$`) : null;
    this.#listeners.push({ event, pattern, listener });
    return this;
  }

  off(event, listener) {
    this.#listeners = this.#listeners.filter((l) => l.event !== event || (listener && l.listener !== listener));
    return this;
  }

  emit(event, data) {
    for (const l of [...this.#listeners]) {
      const parts = l.pattern ? l.pattern.exec(event) : l.event === event && [];
      if (parts) l.listener(...parts.slice(1), data);
    }
  }

  close() {
    if (bus && bus.events === this) disconnectBus();
  }
}
Bus.prototype.addListener = Bus.prototype.on;
Bus.prototype.removeListener = Bus.prototype.off;

// launchBus calls back once the daemon publishes to the bus. The bus keeps the script alive until
// disconnect.
function launchBus(cb) {
  const done = called(cb);
  if (bus) return bus.ready ? process.nextTick(done, null, bus.events, bus.child) : bus.asking.push(done);
  const child = spawn(program, ["bus"], { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  const mine = (bus = { child, events: new Bus(), ready: false, asking: [done] });
  let rest = [];
  let trouble = "";
  child.stderr.on("data", (chunk) => (trouble = (trouble + chunk).slice(-4096)));
  child.stdout.on("data", (chunk) => {
    for (let at; (at = chunk.indexOf(10)) >= 0; chunk = chunk.subarray(at + 1)) {
      rest.push(chunk.subarray(0, at));
      const { event, data } = JSON.parse(Buffer.concat(rest));
      rest = [];
      if (event) mine.events.emit(event, data);
      else mine.ready = true;
      if (!event) for (const ask of mine.asking.splice(0)) ask(null, mine.events, child);
    }
    if (chunk.length > 0) rest.push(chunk);
  });
  const over = (err) => {
    if (bus === mine) bus = null;
    for (const ask of mine.asking.splice(0)) ask(err);
    mine.events.emit("close");
  };
  child.on("error", over);
  child.on("close", () => over(new Error(trouble.trim().replace(/^sidereal: /gm, "") || "the bus has closed")));
}

function disconnectBus(cb) {
  const { child } = bus || {};
  bus = null;
  if (child) child.kill();
  if (cb) process.nextTick(cb, null, { success: true });
}

// connect finds out whether commands work. Calls need no connection, as in PM2.
function connect(noDaemon, cb) {
  if (typeof noDaemon === "function") [cb, noDaemon] = [noDaemon, false];
  const done = called(cb);
  if (noDaemon === true) return process.nextTick(done, new Error("pm2: no mode without a daemon here: run `sidereal up ecosystem.config.js`"));
  list((err) => done(err, err ? undefined : { new_pm2_instance: false }));
}

function disconnect(cb) {
  disconnectBus(cb || (() => {}));
}

const pm2 = {
  connect,
  disconnect,
  close: disconnect,
  list,
  describe,
  start,
  restart: changing("restart"),
  reload: changing("reload"),
  gracefulReload: changing("reload"),
  stop: (target, cb) => act("stop", target, [], "stopped", cb),
  delete: (target, cb) => act("delete", target, [], "stopped", cb),
  scale: (name, count, cb) => plainly("scale", name, count)(cb),
  reset: (target, cb) => about(["reset"], target, cb, { success: true }),
  sendDataToProcessId,
  sendLineToStdin,
  sendSignalToProcessName: (signal, target, cb) => about(["sendSignal", signal], target, cb),
  sendSignalToProcessId: (signal, target, cb) => about(["sendSignal", signal], target, cb),
  launchBus,
  disconnectBus,
  flush: (target, cb) => (typeof target === "function" ? about(["flush"], undefined, target) : about(["flush"], target, cb)),
  reloadLogs: (cb) => about(["reloadLogs"], undefined, cb, {}),
  dump: (force, cb) => (typeof force === "function" ? dump(false, force) : dump(force, cb)),
  clearDump: plainly("cleardump"),
  resurrect: plainly("resurrect"),
  update: plainly("update"),
  killDaemon: plainly("kill"),
  kill: plainly("kill"),
  ping: plainly("ping"),
  getPID: (name, cb) => {
    if (typeof name === "function") [cb, name] = [name, undefined];
    list((err, all) => called(cb)(err, err ? undefined : all.filter((p) => !name || p.name === name).map((p) => p.pid)));
  },
  getVersion: (cb) => run(["version"], (err, out) => called(cb)(err, err ? undefined : out.split(" ")[1])),
  launchSysMonitoring: (cb) => cb && process.nextTick(cb, null),
};

const INSTEAD = "use the commands of `sidereal`, and its `list --json`, `logs --json` and /metrics";
for (const name of ["attach", "autoinstall", "boilerplate", "deploy", "env", "forward", "get", "inspect", "install", "monit", "msgProcess",
  "multiset", "profile", "pull", "report", "serve", "set", "startup", "trigger", "uninstall", "uninstallStartup", "unset"]) {
  pm2[name] = (...args) => called(args.find((a) => typeof a === "function"))(new Error(`pm2.${name} isn't there: ${INSTEAD}`));
}
pm2.custom = class {
  constructor() {
    throw new Error("pm2.custom isn't there: set SIDEREAL_HOME for a daemon of its own");
  }
};

module.exports = pm2;
module.exports.default = pm2;
