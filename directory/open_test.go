package directory

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestOpenConnectsByItself uses a Directory as a program outside this module does: by Redis
// settings.
func TestOpenConnectsByItself(t *testing.T) {
	_, url := mini(t)
	d, err := Open(t.Context(), Config{Redis: sidereal.Redis{URL: url}})
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.Run(t, d.Run)
	inSync(t, d) // a goodbye before d hears events would leave an empty Redis, which proves no death
	reg, err := d.RegisterWorker(t.Context(), Worker{State: StateReady}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leave := testkit.Run(t, reg.Run)
	awaitState(t, d, reg.ID(), StateReady)
	leave()
	awaitState(t, d, reg.ID(), "")
	stop()
	if err := d.client.Ping(context.Background()).Err(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the connection is still open after Run: %v", err)
	}
}

func TestOpenFailsWhereOnlyAnOperatorCanHelp(t *testing.T) {
	m, url := mini(t)
	m.RequireAuth("right")
	if _, err := Open(t.Context(), Config{Redis: sidereal.Redis{URL: url, Password: "wrong"}}); err == nil || errors.Is(err, sidereal.ErrRedisUnreachable) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := Open(t.Context(), Config{Redis: sidereal.Redis{URL: "http://h"}}); err == nil || !strings.Contains(err.Error(), "URL") {
		t.Errorf("a wrong URL: %v", err)
	}
	if _, err := Open(t.Context(), Config{Conn: foreign{}}); err == nil || !strings.Contains(err.Error(), "OpenRedis") {
		t.Errorf("a foreign connection: %v", err)
	}
}

// A Redis that isn't there yet is no error: Run finds it when it comes.
func TestOpenWaitsForNoRedis(t *testing.T) {
	d, err := Open(t.Context(), Config{Redis: sidereal.Redis{URL: "redis://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, d.Run)()
}

type foreign struct{ sidereal.RedisConn }
