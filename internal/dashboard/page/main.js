// main.js connects the page: the live events of the host, and the view that the address names.

import { $, setText } from "./dom.js";
import { addPoint, makeCharts, redraw, setPoints } from "./charts.js";
import { makeOverview, showOverview } from "./overview.js";
import { makeWorkers, showWorkers } from "./workers.js";
import { close, makeLists, open } from "./lists.js";
import { makeActions, setActions, showActions } from "./actions.js";
import { millis } from "./format.js";

let last = null;

function show(view) {
  last = view;
  showOverview(view);
  showWorkers(view);
  showActions(view);
  if (view.point) addPoint(view.point);
  setText($("asked"), `${view.processes.length + view.more} processes answered${view.took < 0.5 ? "" : ` in ${millis(view.took)} ms`}.`);
}

// route shows the view in the address: #clients?by=room&text=a, #client/ID.
function route() {
  const [path, search] = location.hash.slice(1).split("?");
  const [wanted, ...rest] = path.split("/");
  const views = [...document.querySelectorAll("[data-view]")];
  const name = views.some((v) => v.dataset.view === wanted) ? wanted : "overview";
  const other = views.find((v) => !v.hidden)?.dataset.view !== name;
  for (const view of views) view.hidden = view.dataset.view !== name;
  for (const a of document.querySelectorAll("nav a")) {
    if (a.hash === `#${name === "client" ? "clients" : name}`) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  open(name, search === undefined ? null : new URLSearchParams(search), decoded(rest.join("/")));
  if (other) scrollTo(0, 0);
  if (name === "overview") redraw();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody typed it
  }
}

function connect() {
  const live = new EventSource("/dashboard/live");
  const state = (name, text) => {
    $("link").dataset.state = name;
    setText($("link"), text);
  };
  live.addEventListener("hello", (message) => {
    const hello = JSON.parse(message.data);
    setText($("title"), hello.app && hello.app !== "default" ? hello.app : "Sidereal");
    setText($("subtitle"), `${hello.host} · ${hello.version}`);
    document.title = `${hello.host} · Sidereal`;
    setPoints(hello.points);
    setActions(hello);
    state("live", "live");
  });
  live.addEventListener("now", (message) => show(JSON.parse(message.data)));
  live.onerror = () => {
    state("lost", live.readyState === EventSource.CLOSED ? "no answer" : "reconnecting");
    if (live.readyState === EventSource.CLOSED) setTimeout(connect, 5000); // the host refused, for example because many look
  };
  // A window that nobody sees asks for nothing.
  document.addEventListener("visibilitychange", function hidden() {
    if (!document.hidden) return;
    document.removeEventListener("visibilitychange", hidden);
    live.close();
    state("wait", "paused");
    document.addEventListener("visibilitychange", connect, { once: true });
  });
}

makeOverview();
makeWorkers();
makeLists();
makeActions();
makeCharts();
addEventListener("hashchange", route);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  $("main").focus();
});
addEventListener("pagehide", close);
document.addEventListener("locked", () => last && (showWorkers(last), showActions(last)));
route();
connect();
