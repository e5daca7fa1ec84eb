module.exports = {
  apps: [{ name: "logs-off", script: "./report.js", out_file: "NULL", error_file: "/dev/null", log_file: "both.log" }],
};
