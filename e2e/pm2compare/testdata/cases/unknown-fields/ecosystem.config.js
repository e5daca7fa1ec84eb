module.exports = {
  apps: [{ name: "unknown-fields", script: "./report.js", description: "not a field", max_memory: "1G", log_rotate: true }],
};
