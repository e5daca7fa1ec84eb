module.exports = { apps: [{ name: "npm-cluster", script: "npm", args: "start", instances: "2", exec_mode: "cluster" }] };
