module.exports = { apps: [{ name: "interpreter-missing", script: "report.js", interpreter: "no-such-interpreter", interpreter_args: "" }] };
