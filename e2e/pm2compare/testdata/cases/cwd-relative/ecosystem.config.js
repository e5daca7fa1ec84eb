module.exports = { apps: [{ name: "cwd-relative", cwd: "./server", script: "./index.js", out_file: "logs/out.log" }] };
