module.exports = { apps: [{ name: "shell-by-itself", script: "./report.sh", interpreter: "none", exec_mode: "fork" }] };
