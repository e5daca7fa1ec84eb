module.exports = {
  apps: [{ name: "lifecycle-fork", script: "./report.js", env: { A: "1" } }],
};
