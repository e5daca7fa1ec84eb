require("../../report.js");
