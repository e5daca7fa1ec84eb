module.exports = {
  apps: [{
    name: "foreign-fields", script: "report.js", kill_retry: 10, insta_metrics: true, health_check: { url: "http://localhost:3000/health", interval: 3000 }, health_check_grace_period: 3000,
    process_title: "x", monitoring: true, max_size: "10M", retain: 7, compress: true, autodump: true, log_max_size: "10M", force_kill: true, node: "x", env_file: ".env.production",
    backup: { enabled: true, hours: [1, 2] }, deploy: { production: { user: "node", host: ["a"], env: { FROM_DEPLOY: "1" } } },
  }],
};
