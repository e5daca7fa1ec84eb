module.exports = { apps: [{ name: "npm-run", script: "npm run serve", instances: 1, exec_mode: "fork", autorestart: false, env: {} }] };
