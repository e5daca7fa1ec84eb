module.exports = { apps: [{ name: "venv", script: "report.py", interpreter: "./venv/bin/python", cwd: __dirname, args: "-u", exec_mode: "fork", instances: 1 }] };
