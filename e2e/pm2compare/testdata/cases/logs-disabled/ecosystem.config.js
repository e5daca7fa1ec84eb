module.exports = {
  apps: [{ name: "logs-disabled", script: "./report.js", disable_logs: true }],
};
