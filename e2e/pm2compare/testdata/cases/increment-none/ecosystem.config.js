module.exports = { apps: [{ name: "increment-none", script: "report.js", instances: 2, exec_mode: "fork", instance_var: "INSTANCE_ID", increment_var: "API_PORT" }] };
