package adapterenv

import (
	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/config"
)

// Emitter returns the configuration of an emitter to the servers that the settings describe. The
// caller adds the client and the logger. The settings must not name Memory.
func Emitter(set config.Cluster) emitter.Config {
	cfg := emitter.Config{Key: set.AdapterKey, MaxMessageBytes: set.MaxMessageBytes}
	switch set.Adapter {
	case Streams:
		cfg.Form = emitter.Streams{StreamName: set.StreamName, StreamCount: set.StreamCount, MaxLen: set.StreamMaxLen}
	case Sharded:
		cfg.Form = emitter.Sharded{Mode: emitter.Mode(set.AdapterMode)}
	}
	return cfg
}
