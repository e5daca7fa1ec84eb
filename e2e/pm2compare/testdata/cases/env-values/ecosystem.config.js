module.exports = {
  apps: [{ name: "env-values", script: "./report.js", env: { NUMBER: 1.5, YES: true, NO: false, EMPTY: "", LIST: [1, 2], MAP: { a: { b: 1 } }, UNDEFINED: undefined } }],
};
