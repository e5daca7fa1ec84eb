module.exports = { apps: [{ name: "shell-interpreter", script: "./report.sh", interpreter: "bash", interpreter_args: "--norc" }] };
