module.exports = {
  apps: [{ name: "ends-as-wanted", script: "./report.js", stop_exit_codes: [0, 7], env: { ENDS_WITH: 7 } }],
};
