module.exports = {
  apps: [{ name: "stages", script: "./report.js", env: { NODE_ENV: "development", PORT: 3000 }, env_production: { NODE_ENV: "production", EXTRA: true }, env_staging: { NODE_ENV: "staging" } }],
};
