module.exports = {
  apps: [{
    name: "everything", script: "./report.js", instances: "max", exec_mode: "cluster", wait_ready: true, listen_timeout: 600_000, kill_timeout: 10_000, instance_var: "INSTANCE_ID",
    cron_restart: "0 4 * * *", exp_backoff_restart_delay: 100, restart_delay: 4000, max_restarts: 10, min_uptime: "1m", max_memory_restart: "1024M", merge_logs: true, time: true,
    env: { NODE_OPTIONS: "--max-old-space-size=768", TOKEN: process.env.NO_SUCH_TOKEN, PM2_KILL_SIGNAL: "SIGINT" }, env_production: { HOSTNAME: "0.0.0.0" },
  }],
};
