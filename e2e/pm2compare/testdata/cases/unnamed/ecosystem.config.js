module.exports = { apps: [{ script: "unnamed.server.js" }] };
