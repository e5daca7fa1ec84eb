module.exports = {
  apps: [{ name: "logs-json", script: "./report.js", log_type: "json", merge_logs: true }],
};
