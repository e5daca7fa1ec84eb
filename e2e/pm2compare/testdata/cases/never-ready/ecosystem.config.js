module.exports = {
  apps: [{ name: "never-ready", script: "./report.js", wait_ready: true, listen_timeout: 300, env: { SILENT_START: 1 } }],
};
