module.exports = {
  apps: [{ name: "package-version", script: "./report.js",  }],
};
