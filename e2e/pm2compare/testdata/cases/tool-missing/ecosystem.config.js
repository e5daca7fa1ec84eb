module.exports = { apps: [{ name: "tool-missing", script: "no-such-tool", args: "main:app", interpreter: "python3" }, { name: "tool-there", script: "report.js" }] };
