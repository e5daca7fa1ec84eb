module.exports = {
  apps: [{ name: "instances-zero", script: "./report.js", instances: "0" }],
};
