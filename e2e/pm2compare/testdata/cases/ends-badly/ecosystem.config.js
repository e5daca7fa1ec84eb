module.exports = {
  apps: [{ name: "ends-badly", script: "./report.js", autorestart: false, env: { ENDS_WITH: 3 } }],
};
