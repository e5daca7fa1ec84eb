// overview.js shows the cluster as a whole, and what is wrong.

import { $, Table, el, setText } from "./dom.js";
import { bytes, bytesText, cores, millis, none, number, percent, rate } from "./format.js";

const docs = "https://github.com/sidereal-io/sidereal/blob/main/docs/dashboard.md#";

// tiles are the figures at the top: [name, figure, unit, aside, bad].
const tiles = [
  ["Hosts", (t) => [number(t.hosts)]],
  ["Workers", (t) => [number(t.workers), "", t.ready < t.workers ? `${t.ready} ready` : "all ready", t.ready < t.workers]],
  ["Sessions", (t) => [number(t.sessions), "", `${number(t.sockets)} sockets`]],
  ["Polling", (t) => [...percent(t.polling, t.sessions).split(" "), "of the sessions"]],
  ["Relayed", (t) => [...percent(t.relayed, t.sessions - t.polling).split(" "), "of the WebSockets"]],
  ["Events in", (t) => [t.measured ? rate(t.eventsIn) : none, "/s"]],
  ["Events out", (t) => [t.measured ? rate(t.eventsOut) : none, "/s"]],
  ["Bytes in", (t) => (t.measured ? perSecond(t.bytesIn) : [none])],
  ["Bytes out", (t) => (t.measured ? perSecond(t.bytesOut) : [none])],
  ["Event to ack", (t) => (t.p50 === null ? [none, "", "none was timed"] : [millis(t.p50), "ms", `p99 ${millis(t.p99)} ms`])],
  ["Handlers' errors", (t) => [t.measured ? rate(t.errors) : none, "/s", "", t.errors > 0]],
  ["Redis", (t) => (!t.usesRedis ? [none, "", "not used"] : t.redisUp ? [millis(t.redis), "ms", "answers"] : ["away", "", "doesn't answer", true])],
];

const perSecond = (n) => {
  const [figure, unit] = bytes(n);
  return [figure, `${unit}/s`];
};

let parts = [];
let hosts;
let told = "";

export function makeOverview() {
  parts = tiles.map(([name]) => {
    const figure = el("span"), unit = el("span", { class: "unit" }), aside = el("dd", { class: "aside" });
    const tile = el("div", {}, el("dt", {}, name), el("dd", { class: "figure" }, figure, unit), aside);
    $("tiles").append(tile);
    return { tile, figure, unit, aside };
  });
  hosts = new Table($("hosts-table"), "Hosts", [
    { name: "host", value: (h) => h.name },
    { name: "workers", value: (h) => h.workers, num: true },
    { name: "ready", value: (h) => h.ready, num: true },
    { name: "sessions", value: (h) => h.sessions, text: (h) => number(h.sessions), num: true },
    { name: "per worker", value: (h) => (h.ready ? h.sessions / h.ready : 0), text: (h) => (h.ready ? number(h.sessions / h.ready) : none), num: true },
    { name: "events in /s", value: (h) => h.eventsIn, text: (h) => rate(h.eventsIn), num: true },
    { name: "CPU", value: (h) => h.cpu, text: (h) => cores(h.cpu), num: true },
    { name: "memory", value: (h) => h.memory, text: (h) => bytesText(h.memory), num: true },
  ], { key: (h) => h.name, sort: "host", empty: "No host has answered yet." });
}

export function showOverview(view) {
  parts.forEach(({ tile, figure, unit, aside }, i) => {
    const [text, of = "", more = "", bad = false] = tiles[i][1](view.total);
    setText(figure, text);
    setText(unit, of);
    setText(aside, more);
    tile.classList.toggle("bad", bad);
  });
  hosts.show(view.hosts);
  showProblems(view.problems);
}

function showProblems(problems) {
  const urgent = problems.filter((p) => p.urgent).length;
  $("health").dataset.state = urgent ? "bad" : problems.length ? "warn" : "good";
  const title = !problems.length ? "Everything works." : urgent
    ? `${urgent} ${urgent === 1 ? "thing needs" : "things need"} you now.` : `${problems.length} ${problems.length === 1 ? "thing" : "things"} to know.`;
  setText($("health-title"), title);
  const list = $("problems"), rows = new Map([...list.children].map((li) => [li.dataset.id, li]));
  problems.forEach((p, i) => {
    let li = rows.get(p.id);
    if (!li) {
      const heading = p.doc.replaceAll("-", " ");
      li = el("li", { "data-id": p.id }, el("span"), el("a", { href: docs + p.doc, target: "_blank", rel: "noreferrer", "aria-label": `What to do: ${heading}` }, "What to do"));
    }
    li.classList.toggle("urgent", p.urgent);
    setText(li.firstChild, p.text);
    if (list.children[i] !== li) list.insertBefore(li, list.children[i] ?? null);
    rows.delete(p.id);
  });
  for (const li of rows.values()) li.remove();
  const now = problems.map((p) => p.id).join("\n"); // screen readers hear of changes, not of figures
  if (now !== told) setText($("announce"), problems.length ? `${title} ${problems.map((p) => p.text).join(" ")}` : title);
  told = now;
}
