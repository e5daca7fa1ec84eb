module.exports.apps = [{ name: "exports-apps", script: "report.js", kill_timeout: "2000", restart_delay: 10000, vizion: false }];
