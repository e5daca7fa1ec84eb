module.exports = { apps: [{ name: "node-as-script", script: "node", args: "-r ./setup.js report.js x" }] };
