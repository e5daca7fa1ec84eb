module.exports = { apps: [{ name: "script-parent", script: "../app/report.js", out_file: "../log/out.log", error_file: "./log/deep/err.log" }] };
