process.env.FROM_DOTENV = "yes";
process.env.FROM_SHELL = "changed";
module.exports = { apps: [{ name: "dotenv", script: "report.js", env: { TAKEN: process.env.FROM_DOTENV }, env_file: ".env" }] };
