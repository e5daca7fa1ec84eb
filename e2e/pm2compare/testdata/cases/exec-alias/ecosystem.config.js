module.exports = { apps: [{ name: "exec-alias", exec: "report.js" }] };
