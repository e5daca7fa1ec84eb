"use strict";

// The chat page. Everyone who says `hello` is shown with the worker and host that serves them; `people` gives the list
// over all hosts, `joined` and `left` keep it current.

const $ = (id) => document.getElementById(id);
const people = new Map(); // socket id -> {id, name, worker, slot, host, transport}
const PING_EVERY = 2000; // ms between two round-trip measurements
const LOOK_EVERY = 5000; // ms between two looks at the cluster's workers
let workers = []; // {worker, host, pid, clients}
let me = null; // what whoami said
let listed = false; // people is complete, and newcomers are news

const hue = (text) => [...text].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 360, 7);
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

function start() {
  const socket = io({ path: new URL("socket.io/", location.href).pathname });
  const transport = () => socket.io.engine?.transport?.name ?? "polling";
  const hello = () => socket.emit("hello", { name: $("name").value.trim() || guest() });

  socket.on("connect", async () => {
    status("connected");
    socket.io.engine.once("upgrade", () => {
      showTransport();
      hello();
    });
    showTransport();
    hello();
    measure();
    look();
    me = await socket.emitWithAck("whoami");
    $("where").textContent = place(me);
    people.clear();
    for (const p of await socket.emitWithAck("people")) people.set(p.id, p);
    listed = true;
    showPeople();
  });
  socket.on("disconnect", () => {
    listed = false;
    status("disconnected");
  });
  socket.on("connect_error", () => status("disconnected"));
  socket.io.on("reconnect_attempt", () => status("connecting"));

  socket.on("joined", (p) => {
    const known = people.get(p.id);
    people.set(p.id, p);
    if (!known && listed) event(`${p.name} joined on ${place(p)}`);
    else if (known && known.name !== p.name) event(`${known.name} is now ${p.name}`);
    showPeople();
  });
  socket.on("left", ({ id }) => {
    const p = people.get(id);
    if (!p) return;
    people.delete(id);
    event(`${p.name} left`);
    showPeople();
  });
  socket.on("said", (m) => {
    if (typeof m.msg === "string") message(m);
  });

  $("say").addEventListener("submit", (e) => {
    e.preventDefault();
    const line = $("line");
    const msg = line.value.trim();
    if (!msg) return;
    socket.emit("say", { msg, name: people.get(socket.id)?.name });
    line.value = "";
    showSend();
    line.focus();
  });
  $("line").addEventListener("input", showSend);
  $("name").addEventListener("change", () => {
    localStorage.setItem("sidereal-name", $("name").value.trim());
    hello();
  });

  function showTransport() {
    $("transport").textContent = transport();
  }

  let timer;
  function measure() {
    clearTimeout(timer);
    if (!socket.connected) return;
    const sent = performance.now();
    socket.timeout(10000).emit("echo", (err) => {
      $("rtt").textContent = err ? "no answer" : `${(performance.now() - sent).toFixed(1)} ms`;
      timer = setTimeout(measure, PING_EVERY);
    });
  }

  // look asks which workers there are: those without people are shown too.
  let looking;
  function look() {
    clearTimeout(looking);
    if (!socket.connected) return;
    socket.timeout(10000).emit("workers", (err, all) => {
      if (!err && Array.isArray(all)) {
        workers = all;
        showPeople();
      }
      looking = setTimeout(look, LOOK_EVERY);
    });
  }

  function message(m) {
    const mine = m.from === socket.id;
    const p = people.get(m.from);
    const name = m.name ?? p?.name ?? m.from.slice(0, 6);
    const item = make("li", mine ? "message mine" : "message");
    const head = make("header");
    const who = make("b", "", mine ? "you" : name);
    who.style.setProperty("--hue", hue(name));
    head.append(who, make("span", "", p ? place(p) : `worker ${m.worker}`), make("time", "", clock()));
    item.append(head, make("p", "", m.msg));
    append(item);
  }

  function showPeople() {
    $("head-count").textContent = people.size;
    const hosts = new Map(); // host -> worker id -> {id, clients, people}
    const at = (host, id) => {
      const there = hosts.get(host) ?? hosts.set(host, new Map()).get(host);
      return there.get(id) ?? there.set(id, { id, people: [] }).get(id);
    };
    for (const w of workers) at(w.host, w.worker).clients = w.clients;
    for (const p of people.values()) at(p.host, p.worker).people.push(p);
    $("hosts").replaceChildren(...[...hosts.keys()].sort().map((host) => hostCard(host, [...hosts.get(host).values()])));
  }

  function hostCard(name, workers) {
    const card = $("host-template").content.firstElementChild.cloneNode(true);
    const count = workers.reduce((n, w) => n + w.people.length, 0);
    card.dataset.host = name;
    card.querySelector(".host-name").textContent = name;
    card.querySelector(".host-count").textContent = count === 1 ? "1 person" : `${count} people`;
    for (const w of workers.sort((a, b) => (a.id < b.id ? -1 : 1))) {
      const box = make("div", "worker");
      const head = make("h4", w.id === me?.worker ? "here" : "", `worker ${w.id}`);
      if (w.clients !== undefined) head.append(make("span", "load", w.clients === 1 ? "1 connection" : `${w.clients} connections`));
      const list = make("ul");
      for (const p of w.people) list.append(personRow(p));
      box.append(head, list);
      card.querySelector(".workers").append(box);
    }
    return card;
  }

  function personRow(p) {
    const row = make("li", "person");
    row.style.setProperty("--hue", hue(p.name));
    row.append(make("span", "who", p.id === socket.id ? `${p.name} (you)` : p.name), make("span", "how", p.transport));
    return row;
  }

  showSend();
}

function showSend() {
  document.querySelector("#say button").disabled = !$("line").value.trim();
}

function place(p) {
  return `${p.host} · worker ${p.worker}`;
}

function clock() {
  return new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function guest() {
  let name = sessionStorage.getItem("sidereal-guest");
  if (!name) {
    name = `guest ${Math.floor(1000 + Math.random() * 9000)}`;
    sessionStorage.setItem("sidereal-guest", name);
  }
  return name;
}

function status(state) {
  $("status").dataset.state = state;
  $("status").textContent = state;
}

function event(text) {
  append(make("li", "event", text));
}

// append adds a row and follows the talk, unless the reader has scrolled up to read.
function append(item) {
  const list = $("messages");
  const following = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.append(item);
  while (list.children.length > 500) list.firstElementChild.remove();
  if (following) list.scrollTop = list.scrollHeight;
}

$("name").value = localStorage.getItem("sidereal-name") ?? "";
$("show-people").addEventListener("click", () => {
  const open = $("people").classList.toggle("open");
  $("show-people").setAttribute("aria-expanded", open);
});

if (typeof io === "function") {
  start();
} else {
  $("no-client").hidden = false;
  status("disconnected");
}
