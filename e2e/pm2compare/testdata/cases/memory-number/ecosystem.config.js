module.exports = {
  apps: [{ name: "memory-number", script: "./report.js", max_memory_restart: 1073741824 }],
};
