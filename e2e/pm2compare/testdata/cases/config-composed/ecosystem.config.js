const others = require("./others.config");
module.exports = { ...others, apps: [...others.apps, { name: "config-composed-2", script: "report.js", kill_timeout: 10_000, env: { ...process.env, PORT: 3000 } }] };
