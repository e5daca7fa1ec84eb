module.exports = {
  apps: [{ name: "numbers-as-text", script: "./report.js", kill_timeout: "2000", max_restarts: "5", listen_timeout: "4000", restart_delay: "100", min_uptime: "5000", port: "3000", watch_delay: "500" }],
};
