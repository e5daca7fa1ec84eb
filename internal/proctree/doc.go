// Package proctree reads from the system which processes started which. Only Linux shows it.
package proctree
