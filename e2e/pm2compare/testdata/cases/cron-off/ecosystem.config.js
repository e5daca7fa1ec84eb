module.exports = {
  apps: [{ name: "cron-off", script: "./report.js", cron_restart: "0" }],
};
