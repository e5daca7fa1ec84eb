const apps = [{ name: "config-argv", script: "report.js" }];
if (process.argv.includes("with-worker")) apps.push({ name: "config-argv-worker", script: "report.js" });
console.log("a file that prints");
module.exports = { apps };
