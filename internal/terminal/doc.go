// Package terminal reads single keys from a terminal, for live views.
//
// Open switches the terminal to single keys without an echo, and Close restores it. Ctrl-C stays a
// signal. Views draw with processview.Screen.
package terminal
