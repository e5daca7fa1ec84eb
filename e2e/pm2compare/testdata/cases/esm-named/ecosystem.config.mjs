export const apps = [{ name: "esm-named", script: "report.js" }];
