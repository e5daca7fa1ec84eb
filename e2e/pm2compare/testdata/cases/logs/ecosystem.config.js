module.exports = {
  apps: [{ name: "logs", script: "./report.js", out_file: "./logs/app.out.log", error_file: "logs/app.err.log", log_file: "logs/both.log", log_date_format: "YYYY-MM-DD HH:mm:ss", merge_logs: true }],
};
