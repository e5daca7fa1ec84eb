package fileserver

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Config says what to serve and to whom.
type Config struct {
	Folder   string // absolute, or relative to the working directory
	Host     string // the address to listen at; empty means 0.0.0.0
	Port     int
	SPA      bool   // answer unknown paths with the homepage
	Homepage string // the path of the file for "/", as "/index.html"

	// Username and Password are what clients must give. Both are empty if anybody may read.
	Username, Password string

	// Shared lets other processes of this user listen at the port, too.
	Shared bool
}

const defaultPort = 8080

// FromEnv reads PM2's variables, and the arguments of its script: folder, port, host. As in PM2, a
// variable wins over its argument, and a port that isn't a number means 8080.
func FromEnv(getenv func(string) string, args []string) (Config, error) {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	cfg := Config{
		Folder:   cmp.Or(getenv("PM2_SERVE_PATH"), arg(0), "."),
		Host:     cmp.Or(getenv("PM2_SERVE_HOST"), arg(2), "0.0.0.0"),
		Port:     defaultPort,
		SPA:      getenv("PM2_SERVE_SPA") == "true",
		Homepage: cmp.Or(getenv("PM2_SERVE_HOMEPAGE"), "/index.html"),
	}
	if n, err := strconv.Atoi(strings.TrimSpace(cmp.Or(getenv("PM2_SERVE_PORT"), arg(1)))); err == nil && n != 0 {
		cfg.Port = n
	}
	if n, err := strconv.Atoi(getenv("instances")); err == nil {
		cfg.Shared = n > 1
	}
	if getenv("PM2_SERVE_BASIC_AUTH") == "true" {
		cfg.Username, cfg.Password = getenv("PM2_SERVE_BASIC_AUTH_USERNAME"), getenv("PM2_SERVE_BASIC_AUTH_PASSWORD")
		if cfg.Username == "" || cfg.Password == "" {
			return cfg, errors.New("PM2_SERVE_BASIC_AUTH is true: set PM2_SERVE_BASIC_AUTH_USERNAME and PM2_SERVE_BASIC_AUTH_PASSWORD, too")
		}
	}
	if cfg.Port < 1 || cfg.Port > 65535 {
		return cfg, fmt.Errorf("PM2_SERVE_PORT must be between 1 and 65535, not %d", cfg.Port)
	}
	var err error
	cfg.Folder, err = filepath.Abs(cfg.Folder)
	return cfg, err
}
