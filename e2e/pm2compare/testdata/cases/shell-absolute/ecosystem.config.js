const path = require("path");
module.exports = { apps: [{ name: "shell-absolute", script: path.join(__dirname, "report.sh"), interpreter: "/bin/bash", cwd: __dirname, min_uptime: 60000, exp_backoff_restart_delay: 60000, env: { HOME: require("os").homedir() } }] };
