module.exports = {
  apps: [{ name: "ready", script: "./report.js", wait_ready: true, listen_timeout: 600000, kill_timeout: 5000, instances: 1, exec_mode: "cluster" }],
};
