module.exports = {
  apps: [{ name: "camel-case", script: "./report.js", execMode: "cluster", maxMemoryRestart: "200M", killTimeout: 3000, nodeArgs: "--no-warnings", mergeLogs: true, logDateFormat: "HH:mm", minUptime: 2000, maxRestarts: 3 }],
};
