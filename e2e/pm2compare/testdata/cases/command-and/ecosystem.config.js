module.exports = { apps: [{ name: "command-and", script: "cd server && node ../report.js" }, { script: "node report.js unnamed" }] };
