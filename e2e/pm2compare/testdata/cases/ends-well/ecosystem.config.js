module.exports = {
  apps: [{ name: "ends-well", script: "./report.js", autorestart: false, env: { ENDS_WITH: 0 } }],
};
