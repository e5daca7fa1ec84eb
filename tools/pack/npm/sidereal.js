#!/usr/bin/env node
// Runs the program of this platform's package, which npm installs as an optional dependency, with the same arguments, files
// and signals, and ends as it does. No script runs when npm installs it.
"use strict";

const { spawn } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");

const own = require("../package.json");
const wanted = `@sidereal-io/${process.platform}-${process.arch}`;

function fail(code, ...lines) {
  for (const line of lines) {
    console.error(`sidereal: ${line}`);
  }
  process.exit(code);
}

// installed returns the package.json of a platform's package, or nothing.
function installed(name) {
  try {
    return require.resolve(`${name}/package.json`);
  } catch {
    return undefined;
  }
}

// find returns the path of the program, or says why it isn't there.
function find() {
  const packages = Object.keys(own.optionalDependencies);
  if (!packages.includes(wanted)) {
    const platforms = packages.map((name) => name.split("/")[1]).join(", ");
    fail(127, `there is no binary for ${process.platform} ${process.arch}, only for ${platforms}`, `build it with Go: ${own.homepage}`);
  }
  const manifest = installed(wanted);
  if (manifest === undefined) {
    const other = packages.find(installed);
    if (other !== undefined) {
      fail(127, `node_modules has ${other} and not ${wanted}: it was installed on another platform, or by a Node.js of another one`,
        "remove node_modules and run npm install here");
    }
    fail(127, `the package ${wanted} is missing, which has the binary: npm leaves it out with --omit=optional or --no-optional`,
      `run npm install --include=optional, or npm install ${wanted}@${own.version}`);
  }
  const { version } = JSON.parse(fs.readFileSync(manifest, "utf8"));
  if (version !== own.version) {
    fail(127, `${wanted} is version ${version}, and sidereal is version ${own.version}`, `run npm install ${wanted}@${own.version}`);
  }
  return path.join(path.dirname(manifest), "bin", "sidereal");
}

function refused(program, error) {
  switch (error.code) {
    case "EACCES":
      return fail(126, `${program} isn't executable, or its file system is mounted noexec`, `run chmod +x ${program}, or install the package again`);
    case "ENOENT":
      return fail(127, `${program} is missing`, `install the package again: npm install ${wanted}@${own.version}`);
    default:
      return fail(126, `${program} doesn't start: ${error.message}`);
  }
}

const program = find();
// The program ignores a signal that comes twice at once: a terminal sends Ctrl-C to both of us, and we pass it on.
const env = { ...process.env, NPM_LAUNCHER_PID: String(process.pid) };
let child;
try {
  child = spawn(program, process.argv.slice(2), { stdio: "inherit", env });
} catch (error) {
  refused(program, error);
}
child.on("error", (error) => refused(program, error));

const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];
const passOn = (signal) => child.kill(signal);
for (const signal of signals) {
  process.on(signal, passOn);
}
child.on("exit", (code, signal) => {
  if (signal === null) {
    process.exit(code);
  }
  for (const s of signals) {
    process.removeListener(s, passOn);
  }
  process.kill(process.pid, signal); // whoever waits for us sees the same end
  setTimeout(() => process.exit(128 + os.constants.signals[signal]), 1000); // unless we ignore the signal
});
