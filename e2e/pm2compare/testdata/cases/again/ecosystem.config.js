module.exports = {
  apps: [{ name: "again", script: "./report.js", env: { A: "1" } }],
};
