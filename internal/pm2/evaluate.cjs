"use strict";
// Evaluates a file and writes its value as JSON to descriptor 3, since files print to stdout. The value of a module is its
// export. An expression comes by stdin: it is what PM2 takes for JSON.
const fs = require("fs");
const { pathToFileURL } = require("url");
const vm = require("vm");

const before = { ...process.env };
const [kind, file, ...rest] = process.argv.slice(1);
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

// changes returns the variables that the file has set, or removed (null): apps inherit them, as in PM2.
function changes() {
  const env = {};
  for (const name of Object.keys(process.env)) if (process.env[name] !== before[name]) env[name] = process.env[name];
  for (const name of Object.keys(before)) if (process.env[name] === undefined) env[name] = null;
  return env;
}

function fail(err) {
  const stack = err && typeof err.stack === "string" ? err.stack : "";
  answer({ error: String((err && err.message) || err), stack }, 0);
}

process.on("uncaughtException", fail);

function expression() {
  const text = fs.readFileSync(0, "utf8").replace(/^\uFEFF/, "");
  return vm.runInThisContext(`(${text}\n)`, { filename: file });
}

async function exported() {
  const loaded = await import(pathToFileURL(file).href);
  let value = "default" in loaded ? loaded.default : { ...loaded };
  if (value && value.__esModule && "default" in value) value = value.default;
  return value;
}

(async () => {
  const value = await (kind === "module" ? exported() : expression());
  answer({ value: value === undefined ? null : value, env: changes() }, 0);
})().catch(fail);
