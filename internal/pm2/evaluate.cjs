"use strict";
// Evaluates a configuration and writes what it exports as JSON to descriptor 3, since configurations print to stdout.
const fs = require("fs");
const { pathToFileURL } = require("url");

const [file, ...rest] = process.argv.slice(1);
process.argv.splice(1, process.argv.length - 1, "sidereal", ...rest);

function plain(key, v) {
  if (v instanceof RegExp) return { $regexp: v.source, flags: v.flags };
  if (Object.prototype.toString.call(v) === "[object RegExp]") return { $regexp: v.source, flags: v.flags };
  if (typeof v === "bigint") return String(v);
  return v; // functions and symbols are left out by stringify itself
}

function answer(result, code) {
  const bytes = Buffer.from(JSON.stringify(result, plain));
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(3, bytes, at);
  process.exit(code); // a configuration may have left timers behind
}

function fail(err) {
  const stack = err && typeof err.stack === "string" ? err.stack : "";
  answer({ error: String((err && err.message) || err), stack }, 0);
}

process.on("uncaughtException", fail);

(async () => {
  const loaded = await import(pathToFileURL(file).href);
  let value = "default" in loaded ? loaded.default : { ...loaded };
  if (value && value.__esModule && "default" in value) value = value.default;
  value = await value;
  answer({ value: value === undefined ? null : value }, 0);
})().catch(fail);
