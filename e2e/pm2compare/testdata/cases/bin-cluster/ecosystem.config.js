module.exports = {
  apps: [{ name: "bin-cluster", script: "node_modules/tool/dist/bin/tool", args: "start -p 3001", instances: 2, exec_mode: "cluster", wait_ready: true, listen_timeout: 600000, kill_timeout: 5000 }],
};
