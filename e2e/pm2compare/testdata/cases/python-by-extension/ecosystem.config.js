module.exports = { apps: [{ name: "python-by-extension", script: "report.py", args: "-v" }] };
