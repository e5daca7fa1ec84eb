require("../report.js");
