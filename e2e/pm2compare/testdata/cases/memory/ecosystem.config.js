module.exports = {
  apps: [{ name: "memory", script: "./report.js", max_memory_restart: "512M" }],
};
