module.exports = {
  apps: [{ name: "instances-text", script: "./report.js", instances: "2", exec_mode: "cluster_mode" }],
};
