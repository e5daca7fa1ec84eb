module.exports = { apps: [{ name: "Names With Spaces", script: "report.js" }, { name: "names:serve", script: "report.js" }, { name: "@names/api", script: "report.js" }] };
