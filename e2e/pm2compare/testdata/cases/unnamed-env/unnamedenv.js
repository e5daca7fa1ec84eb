require("./report.js");
