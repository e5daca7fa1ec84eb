// dom.js builds and updates elements. Texts never become markup.

export const $ = (id) => document.getElementById(id);

// el makes an element with properties and children.
export function el(name, props = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [event, f] of Object.entries(value)) e.addEventListener(event, f);
    else e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

// setText changes a text only if it differs, so that screen readers and selections aren't disturbed.
export function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// Table keeps a table's rows in place while their figures change, so that the focus and the
// selection stay.
//
// A column is {name, value(row), text(row)?, num?, long?, code?, sort?, link(row)?, cell(row)?, state(row)?}.
export class Table {
  constructor(table, caption, columns, { key, sort, descending = false, empty }) {
    Object.assign(this, { table, columns, key, empty, sort, descending, rows: new Map() });
    this.body = el("tbody");
    this.heads = columns.map((column) => {
      const th = el("th", { scope: "col", class: column.num && "num" });
      if (column.value) th.append(el("button", { type: "button", on: { click: () => this.sortBy(column) } }, column.name));
      else th.append(column.name);
      return th;
    });
    table.append(el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, ...this.heads)), this.body);
    this.data = [];
  }

  sortBy(column) {
    this.descending = this.sort === column.name ? !this.descending : Boolean(column.num);
    this.sort = column.name;
    this.show(this.data);
  }

  show(data) {
    this.data = data;
    const by = this.columns.find((c) => c.name === this.sort);
    this.heads.forEach((th, i) => {
      if (this.columns[i] === by) th.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    });
    if (by) data = [...data].sort((a, b) => compare(by.value(a), by.value(b)) * (this.descending ? -1 : 1));
    const kept = new Set();
    let at = this.body.firstChild;
    for (const row of data) {
      const key = this.key(row);
      if (kept.has(key)) continue;
      kept.add(key);
      let tr = this.rows.get(key);
      if (!tr) this.rows.set(key, (tr = el("tr", {}, ...this.columns.map(makeCell))));
      this.fill(tr, row);
      if (tr === at) at = at.nextSibling;
      else this.body.insertBefore(tr, at);
    }
    for (const [key, tr] of this.rows) {
      if (!kept.has(key)) {
        tr.remove();
        this.rows.delete(key);
      }
    }
    if (this.note) this.note.remove();
    this.note = null;
    if (kept.size === 0 && this.empty) {
      this.note = el("tr", {}, el("td", { class: "empty", colspan: this.columns.length }, this.empty));
      this.body.append(this.note);
    }
  }

  fill(tr, row) {
    this.columns.forEach((column, i) => {
      const td = tr.children[i];
      if (column.cell) {
        const shown = column.cell(row, td);
        if (shown !== undefined) td.replaceChildren(shown);
        return;
      }
      const text = String((column.text ?? column.value)(row) ?? "");
      const place = td.firstElementChild ?? td;
      setText(place, text);
      if (column.link) place.setAttribute("href", column.link(row));
      if (column.state) td.className = column.state(row);
    });
  }
}

function makeCell(column) {
  const td = el("td", { class: [column.num && "num", column.long && "long"].filter(Boolean).join(" ") || false });
  if (column.link) td.append(el("a", { href: "#" }));
  else if (column.code) td.append(el("code"));
  return td;
}

function compare(a, b) {
  if (typeof a === "number" || typeof b === "number") return (a ?? -1) - (b ?? -1);
  return String(a ?? "").localeCompare(String(b ?? ""), "en", { numeric: true });
}
