// The same as an ES module.
import "./report.js";
