module.exports = {
  apps: [{ name: "stage-missing", script: "./report.js", env: { NODE_ENV: "development" } }],
};
