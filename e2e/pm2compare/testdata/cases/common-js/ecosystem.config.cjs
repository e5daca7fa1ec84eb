module.exports = { apps: [{ name: "common-js", script: "report.mjs" }] };
