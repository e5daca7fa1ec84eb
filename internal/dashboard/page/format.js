// format.js turns figures into text. All texts of one kind have the same width in tables.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const none = "–";

// number is a count: 9,999, then 12.3K.
export function number(n) {
  if (n === null || n === undefined) return none;
  return Math.abs(n) < 10_000 ? whole.format(n) : short.format(n);
}

// rate is a number per second.
export function rate(n) {
  if (n === null || n === undefined) return none;
  if (n > 0 && n < 9.95) return n.toFixed(1);
  return number(n);
}

// bytes are a figure and a unit.
export function bytes(n) {
  if (n === null || n === undefined) return [none, ""];
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (n < 1000 || unit === "GB") return [unit === "B" || n >= 99.5 ? whole.format(n) : n.toFixed(1), unit];
    n /= 1024;
  }
}

export const bytesText = (n) => bytes(n).join(" ").trim();

// millis is a duration in milliseconds.
export function millis(n) {
  if (n === null || n === undefined) return none;
  if (n > 0 && n < 9.95) return n.toFixed(n < 0.995 ? 2 : 1);
  return whole.format(n);
}

export const millisText = (n) => (n === null || n === undefined ? none : `${millis(n)} ms`);

export function percent(part, of) {
  return of > 0 ? `${whole.format((100 * part) / of)} %` : none;
}

// cores is CPU time as a share of one core.
export const cores = (n) => (n === null || n === undefined ? none : `${whole.format(100 * n)} %`);

// age says how long ago a time was.
export function age(time, now = Date.now()) {
  const then = Date.parse(time);
  if (!(then > 0)) return none;
  const s = Math.max(0, Math.round((now - then) / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} days`;
}

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

// nanos is a Go duration as milliseconds.
export const nanos = (n) => (n ? n / 1e6 : null);
