module.exports = {
  apps: [{ name: "logs-aliases-2", script: "./report.js", out: "out.txt", err_file: "err.txt", log: "all.txt" }],
};
