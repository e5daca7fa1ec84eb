module.exports = {
  apps: [{ name: "pid-file", script: "./report.js", pid_file: "./run/app.pid" }],
};
