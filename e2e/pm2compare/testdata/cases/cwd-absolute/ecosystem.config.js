const path = require("path");
module.exports = { apps: [{ name: "cwd-absolute", cwd: path.join(__dirname, "server"), script: path.resolve(__dirname, "report.js") }] };
