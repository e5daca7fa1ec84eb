// Bundles a script with the npm packages that it requires into one file, as bundlers do: node bundle.js SCRIPT OUT. The
// bundle requires Node's own modules only. Its form follows OUT's extension: .js or .mjs. SOCKETIO is put into the text.
"use strict";
const { readFileSync, writeFileSync } = require("fs");
const Module = require("module");
const path = require("path");

const [script, out] = process.argv.slice(2);
const numbers = new Map(); // file -> its number
const modules = [];

function add(file) {
  if (numbers.has(file)) return numbers.get(file);
  const number = numbers.size;
  numbers.set(file, number);
  const from = Module.createRequire(file);
  const text = readFileSync(file, "utf8").replaceAll("process.env.SOCKETIO", JSON.stringify(process.env.SOCKETIO));
  const linked = text.replace(/\brequire\((["'])([^"'\n]+)\1\)/g, (call, _, name) => {
    let found;
    try {
      found = from.resolve(name);
    } catch {
      return call; // an optional package
    }
    return path.isAbsolute(found) ? `bundled(${add(found)})` : call;
  });
  modules[number] = file.endsWith(".json") ? `module.exports = ${text}` : linked;
  return number;
}

add(path.resolve(script));
const head = out.endsWith(".mjs") ? 'import { createRequire } from "module";\nconst require = createRequire(import.meta.url);\nconst __dirname = ".";\n' : "";
const functions = modules.map((text) => `function (module, exports, bundled) {\n${text}\n}`);
writeFileSync(
  out,
  `${head}const modules = [${functions.join(",\n")}];
const loaded = [];
function bundled(n) {
  if (!loaded[n]) modules[n].call({}, (loaded[n] = { exports: {} }), loaded[n].exports, bundled);
  return loaded[n].exports;
}
bundled(0);
`
);
