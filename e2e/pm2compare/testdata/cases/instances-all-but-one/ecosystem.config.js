module.exports = {
  apps: [{ name: "instances-all-but-one", script: "./report.js", instances: -1, exec_mode: "cluster" }],
};
