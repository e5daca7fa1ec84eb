module.exports = {
  apps: [{ name: "bash-list", cwd: __dirname, script: "/bin/bash", args: ["-lc", "exec node report.js one"], instances: 1, exec_mode: "fork", autorestart: false, time: true, cron_restart: "0 */2 * * *", env: {} }],
};
