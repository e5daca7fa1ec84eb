module.exports = {
  apps: [{
    name: "logs-all", script: "report.js", instances: 2, interpreter_args: "", out_file: "./logs/deep/out.log", error_file: "./logs/deep/err.log", log_file: "./logs/both.log",
    time: true, log_date_format: "YYYY-MM-DD HH:mm:ss Z", merge_logs: true, combine_logs: true,
  }],
};
