"use strict";

// The page draws the pictures that the server sends four times a second. The buttons send actions.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const COUNTS = ["lost", "doubled", "late", "sent", "heard", "cut", "missed"];
const ROW = { clients: 30, router: 150, worker: 310, redis: 470 };
const MOST_PULSES = 24; // at a time

const draw = (tag, attributes, text) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const make = (tag, text) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  return node;
};

const wires = draw("g", {});
const nodes = draw("g", {});
const pulses = draw("g", {});
$("picture").append(wires, nodes, pulses);

let heard = 0; // arrivals of the last picture

const source = new EventSource("pictures");
source.onopen = () => state("live", "live");
source.onerror = () => state("gone", "the host is gone");
source.onmessage = (e) => show(JSON.parse(e.data));

function state(name, text) {
  $("state").dataset.state = name;
  $("state").textContent = text;
}

function show(p) {
  const counts = p.counts ?? {};
  for (const name of COUNTS) number(name, counts[name] ?? 0);
  for (const name of ["away", "due", "recovered", "anew"]) number(name, p[name] ?? 0);
  for (const name of ["lost", "doubled", "late"]) $(name).parentElement.classList.toggle("wrong", counts[name] > 0);
  $("promise").textContent = p.recovery
    ? `Promised here: nothing is lost or doubled. Clients that are away for less than ${p.recovery} s resume their sessions.`
    : "Connection state recovery is off, so clients of a dead worker begin anew. Set SIDEREAL_ADAPTER=redis-streams and SIDEREAL_RECOVERY=2m to lose nothing.";
  buttons(p.buttons ?? []);
  processes(p.processes ?? []);
  picture(p.processes ?? [], p.places ?? []);
  lines(p.lines ?? []);
  run((counts.heard ?? 0) - heard);
  heard = counts.heard ?? 0;
}

function number(id, n) {
  const text = n.toLocaleString("en");
  if ($(id).textContent !== text) $(id).textContent = text;
}

function buttons(all) {
  if ($("buttons").childElementCount) return;
  for (const b of all) {
    const box = make("div");
    const button = make("button", b.label);
    button.type = "button";
    button.id = b.name;
    const does = make("p", b.does);
    does.id = `${b.name}-does`;
    button.setAttribute("aria-describedby", does.id);
    button.addEventListener("click", () => act(button));
    box.append(button, does);
    $("buttons").append(box);
  }
}

async function act(button) {
  button.disabled = true;
  try {
    await fetch(`do/${button.id}`, { method: "POST", headers: { "Sidereal-Plug": "1" } });
  } catch {
    state("gone", "the host is gone");
  }
  button.disabled = false;
}

function processes(all) {
  $("processes").replaceChildren(...all.map((p) => {
    const row = make("tr");
    row.dataset.name = p.name;
    row.dataset.state = p.state;
    row.append(make("td", p.name), make("td", p.state), make("td", p.kind === "worker" ? String(p.clients) : ""));
    return row;
  }));
}

let paths = []; // of pulses: lists of points

function picture(all, places) {
  const of = (kind) => all.filter((p) => p.kind === kind);
  const spread = (list, y, width) => list.map((p, i) => ({ p, x: (1000 * (i + 0.5)) / list.length, y, width }));
  const routers = spread(of("router"), ROW.router, 190);
  const workers = spread(of("worker"), ROW.worker, Math.min(170, 940 / Math.max(1, of("worker").length)));
  const redis = spread(of("redis"), ROW.redis, 190);
  const byId = new Map(workers.filter((w) => w.p.worker).map((w) => [w.p.worker, w]));
  const lines = [];
  const shapes = [];
  const next = [];
  const middle = redis[0];
  for (const w of workers) if (middle) lines.push(wire([w, middle], ""));
  places.forEach((c, i) => {
    const at = { x: (1000 * (i + 0.5)) / places.length, y: ROW.clients };
    const w = byId.get(c.worker);
    if (w) {
      const path = c.polls && routers[0] ? [at, routers[0], w] : [at, w];
      lines.push(wire(path, c.polls ? "polls" : ""));
      next.push(middle ? [...path, middle] : path);
    }
    shapes.push(draw("circle", { cx: at.x, cy: at.y, r: 6, class: `client ${c.polls ? "polls" : ""} ${w ? "" : "away"}` }));
  });
  for (const box of [...routers, ...workers, ...redis]) shapes.push(...card(box));
  wires.replaceChildren(...lines);
  nodes.replaceChildren(...shapes);
  paths = next;
}

function wire(points, kind) {
  return draw("polyline", { points: points.map((p) => `${p.x},${p.y}`).join(" "), class: `wire ${kind}`, fill: "none" });
}

const STATES = { ready: "", frozen: "frozen", starting: "starting", draining: "draining", stopping: "stopping" };

function card({ p, x, y, width }) {
  const box = draw("rect", { x: x - width / 2, y: y - 27, width, height: 54, rx: 10, class: `box ${STATES[p.state] ?? "down"}` });
  const detail = p.state !== "ready" ? p.state : p.kind === "worker" ? `${p.clients} clients` : `process ${p.pid}`;
  return [box, draw("text", { x, y: y - 3 }, p.name), draw("text", { x, y: y + 16, class: "quiet" }, detail)];
}

// run sends some of the messages that arrived since the last picture over the wires.
function run(arrived) {
  if (calm.matches || arrived <= 0 || !paths.length) return;
  const n = Math.min(Math.ceil(arrived / 12), MOST_PULSES - pulses.childElementCount);
  for (let i = 0; i < n; i++) {
    const there = paths[Math.floor(Math.random() * paths.length)];
    const back = paths[Math.floor(Math.random() * paths.length)];
    pulse([...there, ...[...back].reverse().slice(1)], Math.random() * 200);
  }
}

function pulse(points, delay) {
  const dot = draw("circle", { r: 3.5, class: "pulse" });
  pulses.append(dot);
  const frames = points.map((p) => ({ transform: `translate(${p.x}px, ${p.y}px)` }));
  dot.animate(frames, { duration: 900, delay, fill: "backwards" }).onfinish = () => dot.remove();
}

let shown = ""; // the newest line of the log

function lines(all) {
  const newest = all.at(-1)?.at ?? "";
  if (newest === shown) return;
  shown = newest;
  $("log").replaceChildren(...[...all].reverse().map((l) => {
    const item = make("li");
    item.append(make("time", new Date(l.at).toLocaleTimeString()), l.text);
    return item;
  }));
}
