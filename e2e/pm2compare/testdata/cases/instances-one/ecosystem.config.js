module.exports = {
  apps: [{ name: "instances-one", script: "./report.js", instances: 1, watch: false, max_memory_restart: "1G", autorestart: true }],
};
