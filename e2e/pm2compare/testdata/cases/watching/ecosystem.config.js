module.exports = {
  apps: [{ name: "watching", script: "./report.js", watch: ["server", "lib"], ignore_watch: ["node_modules", "logs", "*.log", ".git"], watch_delay: 1000, watch_options: { followSymlinks: false, usePolling: true } }],
};
