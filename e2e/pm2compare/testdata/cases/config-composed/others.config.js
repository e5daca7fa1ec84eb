exports.apps = [{ name: "config-composed-1", script: "report.js" }];
