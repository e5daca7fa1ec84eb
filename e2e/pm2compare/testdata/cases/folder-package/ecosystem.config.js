module.exports = { apps: [{ name: "folder-package", script: "./service/" }] };
