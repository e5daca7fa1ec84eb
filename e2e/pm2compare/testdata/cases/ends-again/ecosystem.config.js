module.exports = {
  apps: [{ name: "ends-again", script: "./report.js", max_restarts: 2, min_uptime: "1h", env: { ENDS_WITH: 1 } }],
};
