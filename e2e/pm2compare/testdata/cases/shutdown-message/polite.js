require("./report.js");
process.on("SIGINT", () => console.log("asked by a signal"));
process.on("message", (m) => {
  console.log("asked by", m);
  process.exit(0);
});
