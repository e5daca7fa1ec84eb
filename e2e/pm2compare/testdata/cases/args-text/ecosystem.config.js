module.exports = {
  apps: [{ name: "args-text", script: "./report.js", args: "--name two --quoted 'a b' \"c d\" -x" }],
};
