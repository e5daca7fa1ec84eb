module.exports = { apps: [{ name: "cwd-parent", cwd: __dirname + "/..", script: "app/report.js", args: "queue:work" }] };
