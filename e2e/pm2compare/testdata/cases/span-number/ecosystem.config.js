module.exports = {
  apps: [{ name: "span-number", script: "./report.js", min_uptime: 60000, kill_retry_time: 200 }],
};
