module.exports = {
  apps: [{ name: "ends-again", script: "./report.js", max_restarts: 2, env: { ENDS_WITH: 1 } }],
};
