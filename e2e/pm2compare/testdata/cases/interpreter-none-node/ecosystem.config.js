module.exports = {
  apps: [{ name: "interpreter-none-node", script: "./report.js", interpreter: "none", script: "node", args: "report.js" }],
};
