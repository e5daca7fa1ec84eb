module.exports = { apps: [{ name: "top-level-env", script: "report.js" }], env: { IGNORED: "1" } };
