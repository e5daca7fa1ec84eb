const base = require("./base");
module.exports = { apps: ["a", "b"].map((n) => ({ ...base, name: "shared-" + n, args: n, env: { ...base.env, NAME: n } })) };
