module.exports = {
  apps: [{ name: "logs-time", script: "./report.js", time: true }],
};
