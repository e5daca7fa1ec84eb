module.exports = {
  apps: [{ name: "vendor", script: "./report.js", source_map_support: false, vizion: false, pmx: false, automation: false, treekill: false, trace: true, v8: true, event_loop_inspector: true, deep_monitoring: false, post_update: ["npm install"], force: true }],
};
