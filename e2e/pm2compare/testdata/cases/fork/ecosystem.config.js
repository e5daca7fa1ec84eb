module.exports = { apps: [{ name: "fork", script: "report.js", args: "one 'two three' --four=5", env: { A: 1, B: { c: true } } }] };
