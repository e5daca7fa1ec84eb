module.exports = { apps: [{ name: "npm", script: "npm", args: "start", cwd: "./", env: { NODE_ENV: "production" } }] };
