// charts.js draws the last 15 minutes. Each chart has its figures as text, too: the present ones in
// its caption, and one line a minute in a table.

import { $, el, setText } from "./dom.js";
import { bytesText, clock, millis, millisText, number, rate } from "./format.js";

const kept = 15 * 60_000;

const charts = [
  { title: "Sessions", lines: [["all", "sessions", number], ["polling", "polling", number]] },
  { title: "Events per second", lines: [["in", "eventsIn", rate], ["out", "eventsOut", rate]] },
  { title: "Event to ack", lines: [["p50", "p50", millisText], ["p99", "p99", millisText]] },
  { title: "Bytes per second", lines: [["in", "bytesIn", bytesText], ["out", "bytesOut", bytesText]], incrs: Array.from({ length: 40 }, (_, i) => 2 ** i) },
  { title: "Failures per second", lines: [["errors", "errors", rate], ["502–504", "failures", rate]] },
  { title: "CPU and Redis", lines: [["cores", "cpu", (n) => n.toFixed(2)], ["Redis, ms", "redis", millis]], scales: true },
];

let points = [];

// setPoints takes the points so far, addPoint one more.
export function setPoints(list) {
  points = list;
  draw();
}

export function addPoint(point) {
  if (points.length && points.at(-1).t >= point.t) return;
  points.push(point);
  const oldest = point.t - kept;
  while (points.length && points[0].t < oldest) points.shift();
  draw();
}

// makeCharts builds all figures once.
export function makeCharts() {
  for (const chart of charts) {
    chart.plot = el("div", { class: "plot", role: "img" });
    chart.legends = chart.lines.map((_, i) => el("span", { class: i ? "legend second" : "legend" }));
    chart.rows = el("tbody");
    const details = el("details", { on: { toggle: () => table(chart, details.open) } },
      el("summary", {}, "as a table"),
      el("table", {}, el("caption", { class: "unseen" }, chart.title),
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "time"), ...chart.lines.map(([name]) => el("th", { scope: "col", class: "num" }, name)))),
        chart.rows));
    chart.details = details;
    $("charts").append(el("figure", { class: "card" }, el("figcaption", {}, chart.title, ...chart.legends), chart.plot, details));
  }
  new ResizeObserver(resize).observe($("charts"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
}

function draw() {
  const last = points.at(-1);
  for (const chart of charts) {
    chart.lines.forEach(([name, field, text], i) => {
      const now = last?.[field];
      setText(chart.legends[i], `${name} ${now === null || now === undefined ? "–" : text(now)}`);
    });
    chart.plot.setAttribute("aria-label", summary(chart));
    if (chart.details.open) table(chart, true);
  }
  if ($("charts").closest("[data-view]").hidden || !window.uPlot) return;
  for (const chart of charts) {
    const data = [points.map((p) => p.t / 1000), ...chart.lines.map(([, field]) => points.map((p) => p[field]))];
    if (!chart.drawn) chart.drawn = make(chart, data);
    else chart.drawn.setData(data);
  }
}

// redraw is for when the view is shown again.
export const redraw = draw;

function summary(chart) {
  const parts = chart.lines.map(([name, field, text]) => {
    const all = points.map((p) => p[field]).filter((n) => n !== null && n !== undefined);
    if (!all.length) return `${name}: nothing yet`;
    return `${name}: now ${text(all.at(-1))}, least ${text(Math.min(...all))}, most ${text(Math.max(...all))}`;
  });
  return `${chart.title} in the last 15 minutes. ${parts.join("; ")}.`;
}

// table has the last point of each minute.
function table(chart, open) {
  if (!open) return;
  const minutes = new Map(points.map((p) => [Math.floor(p.t / 60_000), p]));
  chart.rows.replaceChildren(...[...minutes.values()].reverse().map((p) => el("tr", {}, el("td", {}, clock(p.t)),
    ...chart.lines.map(([, field, text]) => el("td", { class: "num" }, p[field] === null || p[field] === undefined ? "–" : text(p[field]))))));
}

function make(chart, data) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const font = "11px " + getComputedStyle(document.body).fontFamily;
  const axis = { stroke: color("--quiet"), font, grid: { stroke: color("--grid"), width: 1 }, ticks: { show: false } };
  const last = chart.lines.length - 1;
  return new window.uPlot({
    width: chart.plot.clientWidth, height: 150, cursor: { show: false }, legend: { show: false }, padding: [8, chart.scales ? 4 : 18, 0, 0],
    scales: { x: { range: () => [Date.now() / 1000 - kept / 1000, Date.now() / 1000] }, y: { range: room }, z: { range: room } },
    axes: [
      { ...axis, size: 24, space: 70, grid: { show: false }, values: (_, times) => times.map((t) => clock(t * 1000).slice(0, 5)) },
      { ...axis, size: 54, space: 36, incrs: chart.incrs, values: (_, all) => all.map(chart.scales ? (n) => String(+n.toFixed(2)) : (n) => chart.lines[0][2](n)) },
      ...(chart.scales ? [{ ...axis, side: 1, scale: "z", size: 44, space: 36, grid: { show: false }, values: (_, all) => all.map((n) => String(+n.toFixed(2))) }] : []),
    ],
    series: [{}, ...chart.lines.map(([name], i) => ({
      label: name, stroke: color(i ? "--line-2" : "--line-1"), width: 1.5, points: { show: false }, spanGaps: false,
      scale: chart.scales && i === last ? "z" : "y", fill: i ? undefined : color("--line-1") + "18",
    }))],
  }, data, chart.plot);
}

// room leaves some above the highest value, and shows a flat line at the bottom.
const room = (_, min, max) => [0, max > 0 ? max * 1.15 : 1];

function resize() {
  for (const chart of charts) {
    const width = chart.plot.clientWidth;
    if (chart.drawn && width > 0 && chart.drawn.width !== width) chart.drawn.setSize({ width, height: 150 });
  }
}

function rebuild() {
  for (const chart of charts) {
    chart.drawn?.destroy();
    chart.drawn = null;
  }
  draw();
}
