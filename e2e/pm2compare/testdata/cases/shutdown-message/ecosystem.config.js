module.exports = { apps: [{ name: "shutdown-message", script: "polite.js", shutdown_with_message: true, treekill: true, restart_delay: 100 }] };
