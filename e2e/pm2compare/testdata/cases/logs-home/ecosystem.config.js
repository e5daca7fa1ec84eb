module.exports = {
  apps: [{ name: "logs-home", script: "./report.js", out_file: "~/logs/out.log", error_file: "~/logs/err.log" }],
};
