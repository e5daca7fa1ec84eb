module.exports = {
  apps: [{ name: "ready-in-fork", script: "./report.js", wait_ready: true, listen_timeout: 600000, exec_mode: "fork" }],
};
