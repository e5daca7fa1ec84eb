module.exports = { apps: [{ name: "increment-cluster", script: "report.js", exec_mode: "cluster", instances: 2, increment_var: "PORT", env: { PORT: 4000, NODE_ENV: "development" } }] };
