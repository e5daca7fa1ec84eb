module.exports = {
  apps: [{ name: "instances-max", script: "./report.js", instances: "max", exec_mode: "cluster", env: { NODE_ENV: "production", PORT: 3000 } }],
};
