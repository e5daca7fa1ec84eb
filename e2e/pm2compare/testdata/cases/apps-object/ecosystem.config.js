module.exports = { apps: { name: "apps-object", script: "report.js" } };
