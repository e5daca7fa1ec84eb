module.exports = { apps: [{ name: "shell", script: "./report.sh", args: "a b", env: { STAGE: "x" } }] };
