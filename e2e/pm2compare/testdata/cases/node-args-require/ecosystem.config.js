module.exports = { apps: [{ name: "node-args-require", script: "report.js", interpreter: "node", node_args: "-r ./setup.js --stack-trace-limit=30" }] };
