module.exports = {
  apps: [
    {
      name: "chat",
      script: "worker.js",
      instances: "max",
      exec_mode: "cluster",
    },
  ],
};
