module.exports = {
  apps: [{ name: "no-autostart", script: "./report.js", autostart: false }],
};
