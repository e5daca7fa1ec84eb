module.exports = { apps: [{ name: "folder", script: "." , exec_mode: "cluster", instances: 1 }] };
