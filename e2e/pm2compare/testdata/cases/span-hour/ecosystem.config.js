module.exports = {
  apps: [{ name: "span-hour", script: "./report.js", min_uptime: "1h", exp_backoff_restart_delay: 100 }],
};
