export default { apps: [{ name: "esm-default", script: "report.js" }] };
