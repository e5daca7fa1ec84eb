// Answers `list` and `delete <id>` in each line of input by PM2's list as a line of JSON, over one
// connection to its daemon.
"use strict";
const pm2 = require(process.argv[2]);
pm2.connect((err) => {
  if (err) throw err;
  console.log("{}");
  const answer = (err) => (err ? console.log(JSON.stringify({ error: String(err) })) : pm2.list((err, list) => console.log(JSON.stringify({ error: err ? String(err) : "", list }))));
  require("readline").createInterface({ input: process.stdin })
    .on("line", (line) => (line === "list" ? answer() : pm2.delete(Number(line.split(" ")[1]), answer)))
    .on("close", () => pm2.disconnect());
});
