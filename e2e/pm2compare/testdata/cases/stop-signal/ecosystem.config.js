module.exports = {
  apps: [{ name: "stop-signal", script: "./report.js", kill_timeout: 3000 }],
};
