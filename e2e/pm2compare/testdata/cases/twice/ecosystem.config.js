module.exports = { apps: [{ name: "twice", script: "report.js", args: "1" }, { name: "twice", script: "report.js", args: "2" }] };
