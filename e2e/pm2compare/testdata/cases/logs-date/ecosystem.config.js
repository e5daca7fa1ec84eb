module.exports = {
  apps: [{ name: "logs-date", script: "./report.js", log_date_format: "YYYY-MM-DD HH:mm Z" }],
};
