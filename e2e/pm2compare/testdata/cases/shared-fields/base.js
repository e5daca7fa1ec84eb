module.exports = { script: "report.js", autorestart: false, env: { BASE: "yes" } };
