module.exports = { apps: [{ name: "names_api (v1.0)", script: "report.js", namespace: "names" }, { name: "names:worker", script: "report.js", namespace: "names" }] };
