module.exports = {
  apps: [{ name: "cluster-without-number", script: "./report.js", exec_mode: "cluster", instance_var: "INSTANCE_ID" }],
};
