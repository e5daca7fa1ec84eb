module.exports = { apps: [{ name: "command", script: "node report.js one two" }] };
