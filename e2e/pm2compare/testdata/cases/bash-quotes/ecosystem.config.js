module.exports = { apps: [{ name: "bash-quotes", script: "/bin/bash", args: `-lc 'cd ${__dirname} && exec node report.js'`, interpreter: "" }] };
