module.exports = { apps: [{ name: "npm-node", script: "npm", args: "run serve -- --port 3", interpreter: "node", autorestart: false, cron_restart: "0 8 * * *" }] };
