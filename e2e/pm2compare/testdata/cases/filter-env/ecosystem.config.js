module.exports = {
  apps: [{ name: "filter-env", script: "./report.js", filter_env: ["FROM_"], env: { A: "1" } }],
};
