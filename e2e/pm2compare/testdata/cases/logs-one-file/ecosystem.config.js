module.exports = { apps: [{ name: "logs-one-file", script: "report.js", out_file: "log.txt", error_file: "log.txt", combine_logs: true }] };
