module.exports = {
  apps: [{ name: "instances-fork", script: "./report.js", instances: 2, exec_mode: "fork", instance_var: "INSTANCE_ID", increment_var: "PORT", env: { PORT: 4000 } }],
};
