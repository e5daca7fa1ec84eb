module.exports = { apps: ["a", "b", "c"].map((n) => ({ name: "several-" + n, script: "report.js", namespace: n === "c" ? "several-rest" : "several" })) };
