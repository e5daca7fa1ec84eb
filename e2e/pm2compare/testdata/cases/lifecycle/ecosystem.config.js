module.exports = {
  apps: [{ name: "lifecycle", script: "./report.js", instances: 2, exec_mode: "cluster" }],
};
