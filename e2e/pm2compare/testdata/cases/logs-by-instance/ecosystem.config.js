module.exports = {
  apps: [{ name: "logs-by-instance", script: "./report.js", out_file: "out.log", error_file: "err.log", instances: 2 }],
};
