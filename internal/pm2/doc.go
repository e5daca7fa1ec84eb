// Package pm2 reads what to run: PM2's ecosystem files, and the options of `start`, which say the same.
//
// An [App] is one app with everything settled: aliases and camelCase names are one name, sizes are bytes, the interpreter
// is found, paths are absolute, the environment is whole. Who runs it needs to know nothing of files and their forms. An
// App travels as JSON, in PM2's names where PM2 has one.
//
// What an ecosystem file may say, and what it means when it says nothing, is PM2's (6.0). Nothing here starts an app or
// talks to a daemon.
package pm2
