module.exports = {
  apps: [{ name: "interpreter-args", script: "./report.js", interpreter: "node", interpreter_args: "--stack-trace-limit=20", args: "" }],
};
