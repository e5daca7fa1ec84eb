module.exports = { apps: [{ name: "cmd-alias", cmd: "report.js", args: "a" }] };
