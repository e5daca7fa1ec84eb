module.exports = { apps: [{ name: "cron-ends", script: "report.js", cron_restart: "*/15 5-22 * * *", autorestart: false, env: { ENDS_WITH: 0 } }] };
