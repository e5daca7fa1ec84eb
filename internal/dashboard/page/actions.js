// actions.js asks the host to do something, with the key that the operator typed. The key stays in
// this tab's sessionStorage.

import { $, Table, el, setText } from "./dom.js";
import { clock } from "./format.js";

let verbs = [];
let keyed = false;
let own = ""; // the host that serves this page
let records, hosts;

const key = () => sessionStorage.getItem("sidereal-key") ?? "";
const by = () => sessionStorage.getItem("sidereal-by") ?? "";

// can reports whether the operator may do something.
export const can = (verb) => keyed && key() !== "" && verbs.includes(verb);

export function makeActions() {
  records = new Table($("records-table"), "Actions so far", [
    { name: "time", value: (r) => r.id, text: (r) => clock(r.at) },
    { name: "action", value: (r) => r.what, long: true },
    { name: "by", value: (r) => r.by },
    { name: "from", value: (r) => r.from },
    { name: "state", value: (r) => r.state, state: (r) => (r.state === "done" ? "state-ready" : r.state === "failed" ? "state-bad" : "") },
    { name: "result", value: (r) => r.result, long: true },
  ], { key: (r) => r.id, sort: "time", descending: true, empty: "Nothing yet." });
  hosts = new Table($("actions-table"), "Actions on hosts", [
    { name: "host", value: (h) => h.name },
    { name: "workers", value: (h) => h.workers, num: true },
    { name: "sessions", value: (h) => h.sessions, num: true },
    { name: "", cell: hostButtons },
  ], { key: (h) => h.name, sort: "host" });
  $("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    sessionStorage.setItem("sidereal-by", $("by").value.trim());
    if (await send({}, $("key").value)) {
      sessionStorage.setItem("sidereal-key", $("key").value);
      $("key").value = "";
    }
    refresh();
  });
  $("lock").addEventListener("click", () => {
    sessionStorage.removeItem("sidereal-key");
    refresh();
  });
  $("rebalance").addEventListener("click", () => perform({ do: "rebalance" }, "Rebalance?", "Hosts above their share close their idlest sessions, and these clients reconnect to other hosts.", "Rebalance"));
  $("emit-form").addEventListener("submit", (event) => {
    event.preventDefault();
    let args;
    try {
      args = JSON.parse($("emit-args").value || "[]");
      if (!Array.isArray(args)) throw new Error();
    } catch {
      return toast("The arguments must be an array of JSON.");
    }
    const room = $("emit-room").value, namespace = $("emit-namespace").value || "/";
    perform({ do: "emit", app: $("emit-app").value, namespace, room, event: $("emit-event").value, args }, "Emit?",
      `${room ? `Everybody in ${room}` : "Everybody"} in the namespace ${namespace} gets the event ${$("emit-event").value}.`, "Emit");
  });
  $("by").value = by();
}

// setActions takes what the host can do.
export function setActions(hello) {
  verbs = hello.actions;
  keyed = hello.keyed;
  own = hello.host;
  document.querySelector('nav a[href="#actions"]').hidden = verbs.length === 0;
  refresh();
}

function refresh() {
  const unlocked = keyed && key() !== "";
  setText($("key-note"), !keyed ? "This dashboard is read-only: SIDEREAL_ADMIN_KEY isn't set."
    : unlocked ? "Unlocked in this tab. Each action is written to the log." : "Type the key of SIDEREAL_ADMIN_KEY to act. It stays in this tab.");
  $("key-form").hidden = !keyed;
  $("lock").hidden = !unlocked;
  $("hosts-actions").hidden = !["drain", "reload", "rebalance"].some(can);
  $("rebalance").hidden = !can("rebalance");
  $("emit-card").hidden = !can("emit");
  document.dispatchEvent(new Event("locked"));
}

export function showActions(view) {
  records.show(view.records);
  hosts.show(view.hosts);
  showApps([...new Set(view.processes.map((p) => p.app).filter(Boolean))].sort());
}

// showApps lets the operator choose, if there are several.
function showApps(apps) {
  const select = $("emit-app"), now = [...select.options].map((o) => o.value).join("\n");
  if (now !== apps.join("\n")) select.replaceChildren(...apps.map((app) => el("option", { value: app }, app)));
  select.hidden = select.previousElementSibling.hidden = apps.length < 2;
}

const acts = {
  reload: ["Reload", (on) => `A new process takes the place of ${on}, and its clients reconnect.`],
  drain: ["Drain", (on) => `The clients of ${on} reconnect to other workers, and it stays stopped until you start it.`],
  start: ["Start", (on) => `${on} starts again.`],
};

function buttons(td, on, action, which) {
  const wanted = which.filter((verb) => can(verb) && action.host === own);
  const state = wanted.join();
  if (td.dataset.state === state) return;
  td.dataset.state = state;
  td.replaceChildren(...wanted.map((verb) => el("button", {
    type: "button", class: verb === "drain" && "danger", "aria-label": `${acts[verb][0]} ${on}`,
    on: { click: () => perform({ do: verb, ...action }, `${acts[verb][0]} ${on}?`, acts[verb][1](on), acts[verb][0]) },
  }, acts[verb][0])));
}

// processButtons fills a worker's last cell. It changes it only if the buttons change.
export function processButtons(p, td) {
  const runs = !["stopped", "errored"].includes(p.state);
  buttons(td, `${p.name} on ${p.host}`, { host: p.host, process: p.name }, runs ? ["reload", "drain"] : ["start"]);
}

function hostButtons(h, td) {
  if (h.name !== own) return "only at its own dashboard";
  buttons(td, `all workers of ${h.name}`, { host: h.name }, ["reload", "drain", "start"]);
}

// perform asks the operator, and then the host.
export async function perform(action, title, text, yes) {
  setText($("confirm-title"), title);
  setText($("confirm-text"), text);
  setText($("confirm-yes"), yes);
  const dialog = $("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue === "yes") await send({ ...action, by: by() }, key());
}

async function send(action, withKey) {
  try {
    const response = await fetch("/dashboard/act", {
      method: "POST", cache: "no-store", credentials: "omit", body: JSON.stringify(action),
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${withKey}` },
    });
    const said = await response.json();
    toast(said.error ?? said.result);
    return response.ok;
  } catch (failed) {
    toast(String(failed.message || failed));
    return false;
  }
}

function toast(text) {
  setText($("toast"), text);
  setTimeout(() => $("toast").textContent === text && setText($("toast"), ""), 6000);
}
