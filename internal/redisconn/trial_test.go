package redisconn

import (
	"context"
	"errors"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestTrySubscribeIsNeverCounted: nobody who asks meanwhile sees a subscriber, and none is left.
func TestTrySubscribeIsNeverCounted(t *testing.T) {
	store := testkit.StartRedis(t)
	conn, err := Open(Config{URL: store.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, stop := context.WithCancel(t.Context())
	seen := make(chan int64, 1)
	go func() {
		var most int64
		for ctx.Err() == nil {
			count, err := conn.Client().PubSubNumSub(context.WithoutCancel(ctx), "room").Result()
			if err != nil {
				t.Error(err)
			}
			most = max(most, count["room"])
		}
		seen <- most
	}()
	for range 50 {
		if subscribe, unsubscribe := conn.TrySubscribe(t.Context(), conn.one, "SUBSCRIBE", "room"); subscribe != nil || unsubscribe != nil {
			t.Fatal(subscribe, unsubscribe)
		}
	}
	stop()
	if most := <-seen; most != 0 {
		t.Errorf("%d subscribers were counted", most)
	}
}

func TestTrySubscribeTellsWhatIsForbidden(t *testing.T) {
	store := testkit.StartRedis(t)
	store.Do("ACL", "SETUSER", "default", "resetchannels", "-psubscribe", "-sunsubscribe", "&room")
	conn, err := Open(Config{URL: store.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range []struct {
		verb, name             string
		subscribe, unsubscribe error
	}{
		{"SUBSCRIBE", "room", nil, nil},
		{"SUBSCRIBE", "den", ErrRights, nil},
		{"PSUBSCRIBE", "room", ErrRights, nil},
		{"SSUBSCRIBE", "room", nil, ErrRights},
	} {
		subscribe, unsubscribe := conn.TrySubscribe(t.Context(), conn.one, c.verb, c.name)
		if !errors.Is(subscribe, c.subscribe) || !errors.Is(unsubscribe, c.unsubscribe) {
			t.Errorf("%s %s: %v and %v", c.verb, c.name, subscribe, unsubscribe)
		}
	}
}
