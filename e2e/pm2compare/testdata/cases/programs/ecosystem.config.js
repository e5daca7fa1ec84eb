module.exports = { apps: [{ name: "programs", script: "report.py", interpreter: "python3", instances: 2 }] };
