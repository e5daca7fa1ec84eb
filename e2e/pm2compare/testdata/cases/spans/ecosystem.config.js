module.exports = {
  apps: [{ name: "spans", script: "./report.js", min_uptime: "10s", max_restarts: 10, restart_delay: 4000 }],
};
