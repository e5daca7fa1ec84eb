// lists.js shows namespaces, rooms and clients. It asks when a view is opened, and every ten
// seconds (a client: five) while it's open and its window is visible.

import { $, Table, el, setText } from "./dom.js";
import { age, bytesText, clock, millis, nanos, none, number, rate } from "./format.js";
import { can, perform } from "./actions.js";

const again = 10_000;

let tables = {};
let timer = 0;
let tap = null;
let client = null; // whose page is open

async function ask(name, params = {}) {
  const url = new URL(`/dashboard/${name}`, location.href);
  for (const [key, value] of Object.entries(params)) if (value) url.searchParams.set(key, value);
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

const note = (answer) => [answer.more ? `${number(answer.more)} more` : "", answer.missing ?? ""].filter(Boolean).join(" · ");

const where = (p) => `${p.name} on ${p.host}`;
const endedColumns = [
  { name: "ended", value: (e) => e.at, text: (e) => clock(e.at) },
  { name: "sid", value: (e) => e.sid, code: true },
  { name: "address", value: (e) => e.address },
  { name: "transport", value: (e) => e.transport },
  { name: "lasted", value: (e) => Date.parse(e.at) - Date.parse(e.opened), text: (e) => age(e.opened, Date.parse(e.at)), num: true },
  { name: "reason", value: (e) => e.reason },
  { name: "by", value: (e) => e.by },
  { name: "detail", value: (e) => e.detail, text: (e) => e.detail || (e.handler ? `handler of ${e.handler} ran for ${millis(nanos(e.handlerRan))} ms` : ""), long: true },
  { name: "worker", value: (e) => where(e.process) },
];

export function makeLists() {
  tables.namespaces = new Table($("namespaces-table"), "Namespaces", [
    { name: "namespace", value: (n) => n.name },
    { name: "sockets", value: (n) => n.sockets, text: (n) => number(n.sockets), num: true },
    { name: "rooms", value: (n) => n.rooms, text: (n) => number(n.rooms), num: true },
    { name: "events in /s", value: (n) => n.rateIn, text: (n) => rate(n.rateIn), num: true },
    { name: "out /s", value: (n) => n.rateOut, text: (n) => rate(n.rateOut), num: true },
  ], { key: (n) => n.name, sort: "sockets", descending: true, empty: "There is no namespace yet." });
  tables.rooms = new Table($("rooms-table"), "Rooms", [
    { name: "room", value: (r) => r.name, link: (r) => `#clients?by=room&text=${encodeURIComponent(r.name)}` },
    { name: "namespace", value: (r) => r.namespace },
    { name: "sockets", value: (r) => r.sockets, text: (r) => number(r.sockets), num: true },
  ], { key: (r) => `${r.namespace}\n${r.name}`, sort: "sockets", descending: true, empty: "No room was found." });
  tables.clients = new Table($("clients-table"), "Connected clients", [
    { name: "socket", value: (c) => c.socket, link: (c) => `#client/${encodeURIComponent(c.socket)}` },
    { name: "namespace", value: (c) => c.namespace },
    { name: "address", value: (c) => c.address },
    { name: "transport", value: (c) => c.transport },
    { name: "for", value: (c) => -Date.parse(c.connected), text: (c) => age(c.connected), num: true },
    { name: "rooms", value: (c) => c.rooms?.length ?? 0, text: (c) => number((c.rooms?.length ?? 0) + (c.moreRooms ?? 0)), num: true },
    { name: "queue", value: (c) => c.queue, text: (c) => bytesText(c.queue), num: true },
    { name: "events in", value: (c) => c.eventsIn, text: (c) => number(c.eventsIn ?? 0), num: true },
    { name: "out", value: (c) => c.eventsOut, text: (c) => number(c.eventsOut ?? 0), num: true },
    { name: "worker", value: (c) => where(c.process) },
  ], { key: (c) => `${c.namespace}\n${c.socket}`, sort: "for", descending: true, empty: "No client was found." });
  const endedKey = (e) => `${e.sid}\n${e.at}`;
  tables.ended = new Table($("ended-table"), "Ended sessions", endedColumns, { key: endedKey, sort: "ended", descending: true, empty: "No ended session was found." });
  tables.clientEnded = new Table($("client-ended-table"), "Ended sessions of this client", endedColumns,
    { key: endedKey, sort: "ended", descending: true, empty: "None of this client's sessions has ended." });
  tables.tap = new Table($("tap-table"), "Events of this client", [
    { name: "time", value: (e) => e.n, text: (e) => clock(e.at) },
    { name: "kind", value: (e) => e.kind },
    { name: "name", value: (e) => e.name, text: (e) => (e.kind === "skipped" ? `${number(e.skipped)} events were too many to show` : (e.name ?? "")), long: true },
    { name: "size", value: (e) => e.bytes, text: (e) => (e.bytes ? bytesText(e.bytes) : ""), num: true },
    { name: "handlers", value: (e) => e.took, text: (e) => (e.took ? `${millis(nanos(e.took))} ms` : ""), num: true },
  ], { key: (e) => e.n, sort: "time", descending: true, empty: "Nothing has passed yet." });

  $("rooms-form").addEventListener("submit", (event) => {
    event.preventDefault();
    refresh("rooms");
  });
  $("clients-form").addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = `#clients?${new URLSearchParams({ by: $("clients-by").value, text: $("clients-text").value })}`;
    refresh("clients");
  });
  $("client-disconnect").addEventListener("click", () => client?.found && perform(
    { do: "disconnect", app: client.found.process.app, namespace: client.found.namespace, socket: client.found.socket },
    "Disconnect this client?", "The server closes its connection. Most clients don't come back by themselves after that.", "Disconnect"));
}

// open begins a view, and close ends whatever one asked for.
export function open(view, params, id) {
  close();
  if (view === "clients" && params) {
    $("clients-by").value = params.get("by") || "text";
    $("clients-text").value = params.get("text") || "";
  }
  if (view === "client") openClient(id);
  if (loaders[view]) refresh(view);
}

export function close() {
  clearTimeout(timer);
  timer = 0;
  tap?.close();
  tap = null;
  client = null;
}

async function refresh(view) {
  clearTimeout(timer);
  const mine = (timer = -1);
  try {
    if (!document.hidden) await loaders[view]();
  } catch (failed) {
    setText($("toast"), String(failed.message || failed));
    setTimeout(() => setText($("toast"), ""), 6000);
  }
  if (timer === mine) timer = setTimeout(() => refresh(view), view === "client" ? again / 2 : again);
}

let before = new Map(); // namespaces as they were

const loaders = {
  async rooms() {
    const [namespaces, rooms] = await Promise.all([ask("namespaces"), ask("rooms", { text: $("rooms-text").value, sort: "sockets", limit: 200 })]);
    tables.namespaces.show(summed(namespaces.rows));
    tables.rooms.show(rooms.rows);
    setText($("rooms-note"), note(rooms));
  },
  async clients() {
    const text = $("clients-text").value.trim(), by = $("clients-by").value;
    const query = text ? { [by]: text } : {};
    const [found, ended] = await Promise.all([ask("clients", { ...query, limit: 200 }), ask("ended", query)]);
    tables.clients.show(found.rows);
    tables.ended.show(ended.rows);
    setText($("clients-note"), note(found));
    setText($("ended-note"), note(ended));
  },
  async client() {
    const { id } = client;
    const found = (await ask("clients", { id })).rows.find((c) => c.socket === id || c.sid === id);
    if (client?.id !== id) return;
    if (found) client.found = found;
    const ended = await ask("ended", { id: client.found?.sid ?? id });
    if (client?.id !== id) return;
    showClient(found);
    tables.clientEnded.show(ended.rows);
  },
};

// summed adds up the namespaces of all processes, with their rates since the last answer.
function summed(rows) {
  const now = performance.now(), all = new Map();
  for (const n of rows) {
    const sum = all.get(n.name) ?? { name: n.name, sockets: 0, rooms: 0, eventsIn: 0, eventsOut: 0 };
    for (const field of ["sockets", "rooms", "eventsIn", "eventsOut"]) sum[field] += n[field];
    all.set(n.name, sum);
  }
  for (const sum of all.values()) {
    const then = before.get(sum.name), seconds = then ? (now - then.now) / 1000 : 0;
    sum.rateIn = seconds > 0.5 ? Math.max(0, sum.eventsIn - then.eventsIn) / seconds : (then?.rateIn ?? null);
    sum.rateOut = seconds > 0.5 ? Math.max(0, sum.eventsOut - then.eventsOut) / seconds : (then?.rateOut ?? null);
    sum.now = now;
  }
  before = all;
  return [...all.values()];
}

function openClient(id) {
  client = { id, found: null };
  let n = 0;
  const passed = [];
  setText($("client-title"), `Client ${id}`);
  $("client-facts").replaceChildren();
  $("client-disconnect").hidden = true;
  tables.tap.show([]);
  tables.clientEnded.show([]);
  setText($("tap-note"), "");
  tap = new EventSource(`/dashboard/tap?id=${encodeURIComponent(id)}`);
  tap.addEventListener("open", () => setText($("tap-note"), "live"));
  tap.addEventListener("end", (message) => {
    setText($("tap-note"), JSON.parse(message.data).why || "ended");
    tap?.close();
  });
  tap.onerror = () => setText($("tap-note"), "not connected");
  tap.addEventListener("event", (message) => {
    passed.push({ n: n++, ...JSON.parse(message.data) });
    if (passed.length > 200) passed.shift();
    tables.tap.show(passed);
  });
}

function showClient(c) {
  const gone = !c;
  c ??= client.found;
  $("client-disconnect").hidden = gone || !can("disconnect");
  if (!c) {
    $("client-facts").replaceChildren(el("dt", {}, "state"), el("dd", {}, "not connected"));
    return;
  }
  const facts = [
    ["state", gone ? "not connected any more" : `connected for ${age(c.connected)}`], ["socket", c.socket], ["sid", c.sid], ["namespace", c.namespace],
    ["address", c.address], ["transport", c.transport], ["ping", c.ping ? `answered in ${millis(nanos(c.ping))} ms` : none],
    ["queue", bytesText(c.queue)], ["events", `${number(c.eventsIn ?? 0)} in, ${number(c.eventsOut ?? 0)} out`],
    ["rooms", [...(c.rooms ?? []), ...(c.moreRooms ? [`and ${number(c.moreRooms)} more`] : [])].join(", ") || none],
    ["worker", `${where(c.process)}, pid ${c.process.pid}`],
  ];
  const list = $("client-facts");
  if (list.children.length !== 2 * facts.length) list.replaceChildren(...facts.flatMap(([name]) => [el("dt", {}, name), el("dd")]));
  facts.forEach(([, text], i) => setText(list.children[2 * i + 1], String(text)));
}
