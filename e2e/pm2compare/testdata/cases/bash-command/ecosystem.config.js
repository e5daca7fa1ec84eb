module.exports = { apps: [{ name: "bash-command", script: "/bin/bash", args: '-c "exec node report.js one two"', cwd: __dirname }] };
