module.exports = { apps: [{ name: "port-cluster", port: "3000", exec_mode: "cluster", instances: 2, autorestart: true, script: "./report.mjs" }] };
