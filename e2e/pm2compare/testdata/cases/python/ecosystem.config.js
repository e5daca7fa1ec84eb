module.exports = { apps: [{ name: "python", script: "report.py", interpreter: "python3", args: ["--port", 8000], autorestart: true, watch: false }] };
