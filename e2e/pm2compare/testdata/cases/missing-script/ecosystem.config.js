module.exports = { apps: [{ name: "missing-script", script: "nosuch.js" }] };
