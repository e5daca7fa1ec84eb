// Plot draws line charts as SVG files. It reads charts in JSON from its standard input, as
// e2e/bench writes them, and writes one file for each into a folder:
//
//	go run . -o ../../docs/images < charts.json
package main
