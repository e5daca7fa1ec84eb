module.exports = { apps: [{ name: "extensionless", script: "./bin/www" }] };
