module.exports = {
  apps: [{ name: "deploy", script: "report.js", env: { A: "app" }, env_production: { NODE_ENV: "production" } }],
  deploy: {
    production: {
      user: "node", host: ["one.example", "two.example"], ref: "origin/main", repo: "git@example.org:repo.git",
      path: "/var/www/app", ssh_options: "StrictHostKeyChecking=no", "post-deploy": "npm install && pm2 reload ecosystem.config.js --env production",
      env: { FROM_DEPLOY: "yes", A: "deploy" },
    },
  },
};
