module.exports = { apps: [{ name: "cluster", script: "./report.js", instances: 2, exec_mode: "cluster" }] };
