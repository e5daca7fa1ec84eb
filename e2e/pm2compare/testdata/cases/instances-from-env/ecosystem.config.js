module.exports = {
  apps: [{ name: "instances-from-env", script: "./report.js", instances: process.env.NO_SUCH_VARIABLE || 1, exec_mode: "fork" }],
};
