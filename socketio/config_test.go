package socketio

import (
	"io"
	"log/slog"
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/loghandler"
)

// TestConfigReachesTheEngine sets each option that concerns Engine.IO alone and looks for it in the
// engine's configuration.
func TestConfigReachesTheEngine(t *testing.T) {
	names := map[string]string{"OnError": "OnConnectionError"} // where they differ
	for f := range reflect.TypeFor[engineio.Config]().Fields() {
		if f.Name == "Open" {
			continue
		}
		name := f.Name
		if other, ok := names[name]; ok {
			name = other
		}
		t.Run(name, func(t *testing.T) {
			var cfg Config
			option := reflect.ValueOf(&cfg).Elem().FieldByName(name)
			if !option.IsValid() || option.Type() != f.Type {
				t.Fatalf("Config has no field %s of type %v", name, f.Type)
			}
			option.Set(something(f.Type))
			set := cfg.engine(nil)
			if reflect.ValueOf(set).FieldByIndex(f.Index).IsZero() {
				t.Error("the engine isn't told")
			}
			reflect.ValueOf(&set).Elem().FieldByIndex(f.Index).SetZero()
			if !reflect.ValueOf(set).IsZero() {
				t.Errorf("the engine is told something else: %+v", set)
			}
		})
	}
}

// something returns a value of type t that isn't its zero value.
func something(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch p := v.Addr().Interface().(type) {
	case *prometheus.Registerer:
		*p = prometheus.NewRegistry()
		return v
	case **slog.Logger:
		*p = slog.New(loghandler.New(io.Discard, slog.LevelDebug))
		return v
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
	case reflect.Func:
		v.Set(reflect.MakeFunc(t, nil))
	}
	return v
}
