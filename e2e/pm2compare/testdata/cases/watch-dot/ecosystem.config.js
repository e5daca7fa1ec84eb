module.exports = { apps: [{ name: "watch-dot", script: "report.js", watch: ".", ignore_watch: ["reports", "logs"] }] };
