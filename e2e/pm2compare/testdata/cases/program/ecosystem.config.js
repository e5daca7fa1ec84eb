module.exports = { apps: [{ name: "program", script: "tool", interpreter: "python3", args: "main:app --port 8000", env: {} }] };
