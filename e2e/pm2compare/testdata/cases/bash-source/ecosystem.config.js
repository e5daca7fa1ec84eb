module.exports = {
  apps: [{ name: "bash-source", cwd: __dirname, script: "/bin/bash", args: `-c "set -a; source ${__dirname}/vars; exec node ${__dirname}/report.js"`, interpreter: "none", merge_logs: true }],
};
