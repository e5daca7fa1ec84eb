module.exports = { apps: [{ name: "venv-in-cwd", script: "main.py", interpreter: "./venv/bin/python", cwd: "./backend" }] };
