module.exports = {
  apps: [{ name: "logs-aliases", script: "./report.js", output: "out.txt", error: "err.txt", combine_logs: true, instances: 2 }],
};
