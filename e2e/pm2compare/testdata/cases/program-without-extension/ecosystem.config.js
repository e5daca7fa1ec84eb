module.exports = { apps: [{ name: "program-without-extension", script: "manage", interpreter: "python3", args: "queue:work --tries=3 --sleep 1", cwd: "./api", autorestart: true }] };
