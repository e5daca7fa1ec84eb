module.exports = {
  apps: [{ name: "cron-pattern", script: "./report.js", cron_restart: "0 3 * * *", autorestart: false }],
};
