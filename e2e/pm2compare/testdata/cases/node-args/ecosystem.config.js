module.exports = {
  apps: [{ name: "node-args", script: "./report.js", node_args: "--max-old-space-size=256 --no-warnings" }],
};
