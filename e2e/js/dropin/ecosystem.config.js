module.exports = {
  apps: [{
    script: "worker.js",
    instances: "max",
    exec_mode: "cluster",
    env: { STAGE: "any" },
    env_production: { STAGE: "production" },
    vizion: false,
  }],
};
