module.exports = {
  apps: [{ name: "filter-env-all", script: "./report.js", filter_env: true, env: { PATH: process.env.PATH, A: "1" } }],
};
