module.exports = {
  apps: [{ name: "append-env", script: "./report.js", append_env_to_name: true, env_production: { A: "b" } }],
};
