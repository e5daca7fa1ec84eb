// Package pm2 speaks PM2's dialect: process files, and the options of `start`, which say the same.
//
// An [App] is one app with everything settled: aliases and camelCase names have one name, sizes are
// bytes, paths and the interpreter are absolute, the environment is complete. Its users need to
// know nothing of files. An App travels as JSON, with PM2's names where PM2 has one.
//
// The fields of a file and their defaults are PM2's (6.0). Node evaluates files in JavaScript; JSON
// with comments and YAML need no Node. The package doesn't start apps or talk to a daemon.
package pm2
