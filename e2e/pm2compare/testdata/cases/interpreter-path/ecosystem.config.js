module.exports = {
  apps: [{ name: "interpreter-path", script: "./report.js", interpreter: process.execPath, exec_mode: "fork", instances: 1 }],
};
