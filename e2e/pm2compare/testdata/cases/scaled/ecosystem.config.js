module.exports = {
  apps: [{ name: "scaled", script: "./report.js", instances: 1, exec_mode: "cluster" }],
};
