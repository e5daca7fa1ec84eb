//go:build !linux

package engineio

func disablePoller(*Server) {}
