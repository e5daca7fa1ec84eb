module.exports = { apps: [{ name: "npx", script: "npx", args: "tool preview --port 3001", exec_mode: "fork", instances: 1 }] };
