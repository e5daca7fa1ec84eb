// workers.js shows each process.

import { $, Table, setText } from "./dom.js";
import { age, bytesText, cores, millisText, none, number, rate } from "./format.js";
import { processButtons } from "./actions.js";

const isWorker = (p) => ["worker", "node", "program"].includes(p.role);
const stateClass = (p) => (!p.state || p.state === "ready" ? "state-ready" : p.state === "starting" ? "" : "state-bad");
const measured = (f) => (p) => (p.measured ? f(p) : none);

let workers, node, services;

const who = [
  { name: "host", value: (p) => p.host },
  { name: "process", value: (p) => p.name },
];
const state = { name: "state", value: (p) => p.state || "ready", state: stateClass };
const up = { name: "up for", value: (p) => -Date.parse(p.started), text: (p) => age(p.started), num: true };
const cpu = { name: "CPU", value: (p) => p.cpu, text: measured((p) => cores(p.cpu)), num: true };
const memory = { name: "memory", value: (p) => p.memory, text: (p) => bytesText(p.memory), num: true };
const restarts = [
  { name: "restarts", value: (p) => p.restarts, num: true },
  { name: "last end", value: (p) => p.lastEnd, text: (p) => p.lastEnd || (p.restarts ? none : ""), long: true },
];
const key = (p) => `${p.host}\n${p.name}`;

export function makeWorkers() {
  workers = new Table($("workers-table"), "Workers", [
    ...who, state,
    { name: "", cell: processButtons },
    { name: "sessions", value: (p) => p.sessions, text: (p) => number(p.sessions), num: true },
    { name: "events in /s", value: (p) => p.eventsIn, text: measured((p) => rate(p.eventsIn)), num: true },
    { name: "out /s", value: (p) => p.eventsOut, text: measured((p) => rate(p.eventsOut)), num: true },
    { name: "handlers p50", value: (p) => p.p50, text: (p) => millisText(p.p50), num: true },
    { name: "p99", value: (p) => p.p99, text: (p) => millisText(p.p99), num: true },
    { name: "queue", value: (p) => p.queueBytes, text: (p) => bytesText(p.queueBytes), num: true },
    { name: "errors /s", value: (p) => p.errors, text: measured((p) => rate(p.errors)), num: true },
    cpu, memory, up, ...restarts,
  ], { key, sort: "host", empty: "No worker has answered yet." });
  node = new Table($("node-table"), "Node workers", [
    ...who,
    { name: "event loop p99", value: (p) => p.loopDelay, text: (p) => millisText(p.loopDelay), num: true },
    { name: "heap", value: (p) => p.heap, text: (p) => bytesText(p.heap), num: true },
    { name: "GC", value: (p) => p.gc, text: measured((p) => `${(100 * p.gc).toFixed(1)} %`), num: true },
  ], { key, sort: "host" });
  services = new Table($("services-table"), "Routers and services", [
    ...who, state,
    { name: "connections", value: (p) => p.connections, text: (p) => (p.role === "router" ? number(p.connections) : ""), num: true },
    { name: "relayed", value: (p) => p.relayed, text: (p) => (p.role === "router" ? number(p.relayed) : ""), num: true },
    { name: "requests /s", value: (p) => p.requests, text: (p) => (p.role === "router" ? measured((q) => rate(q.requests))(p) : ""), num: true },
    { name: "502–504 /s", value: (p) => p.failures, text: (p) => (p.role === "router" ? measured((q) => rate(q.failures))(p) : ""), num: true },
    cpu, memory, up, ...restarts,
  ], { key, sort: "host", empty: "No router has answered yet." });
}

export function showWorkers(view) {
  const all = view.processes;
  workers.show(all.filter(isWorker));
  const nodes = all.filter((p) => p.loopDelay !== null || p.heap);
  $("node-card").hidden = nodes.length === 0;
  node.show(nodes);
  services.show(all.filter((p) => !isWorker(p)));
  setText($("workers-note"), view.more ? `${number(view.more)} more processes aren't shown` : "");
}
