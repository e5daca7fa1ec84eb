module.exports = {
  apps: [{ name: "args-list", script: "./report.js", args: ["--name", "two words", "--n=1", "a'b", 5] }],
};
