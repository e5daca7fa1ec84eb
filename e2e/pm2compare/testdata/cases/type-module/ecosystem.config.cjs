module.exports = { apps: [{ name: "type-module", cwd: "./server", script: "index.js", exec_mode: "cluster" }] };
