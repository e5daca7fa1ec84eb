package adminui_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/adminui"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// instrumented is an app with the UI.
func instrumented(cfg adminui.Config) socketiotest.App {
	return func(_ context.Context, io *socketio.Server) error {
		if err := adminui.Instrument(io, cfg); err != nil {
			return err
		}
		io.On("echo", func(text string) string { return text })
		io.On("join", func(s *socketio.Socket, room string) { s.Join(room) })
		return nil
	}
}

// socket is what the tests read of a socket that admins see.
type socket struct {
	ID        string         `json:"id"`
	ClientID  string         `json:"clientId"`
	Transport string         `json:"transport"`
	Namespace string         `json:"nsp"`
	Data      map[string]any `json:"data"`
	Handshake map[string]any `json:"handshake"`
	Rooms     []string       `json:"rooms"`
}

// scan reads an event's arguments.
func scan(t *testing.T, args socketio.Args, vs ...any) {
	t.Helper()
	if err := args.Scan(vs...); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for rule, cfg := range map[string]adminui.Config{
		"User or Anyone is required":           {},
		"Anyone and User exclude each other":   {Anyone: true, User: "a"},
		"PasswordHash: not a bcrypt hash":      {User: "a", PasswordHash: "secret"},
		"PasswordHash: cost 20: above 14":      {User: "a", PasswordHash: strings.Replace(string(hash), "$04$", "$20$", 1)},
		"PasswordHash: not a bcrypt hash: cry": {User: "a"},
	} {
		io, err := socketio.New(socketio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := adminui.Instrument(io, cfg); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%+v: error %v, want %q", cfg, err, rule)
		}
	}
}

func TestLogin(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	srv := socketiotest.Serve(t, socketio.Config{}, instrumented(adminui.Config{User: "ada", PasswordHash: string(hash)}))
	for _, auth := range []any{
		nil, map[string]any{}, map[string]any{"username": "ada", "password": "wrong"}, map[string]any{"username": "bob", "password": "secret"},
		map[string]any{"sessionId": "0123456789abcdef"}, map[string]any{"sessionId": strings.Repeat("ab", 1000)}, map[string]any{"sessionId": ""},
		map[string]any{"username": []int{1}, "password": "secret"},
	} {
		if e := srv.Refused("/admin", auth); e.Message != "invalid credentials" {
			t.Errorf("%v: refused with %q", auth, e.Message)
		}
	}
	admin := srv.Connect("/admin", map[string]any{"username": "ada", "password": "secret"})
	var session string
	scan(t, admin.Next("session"), &session)
	again := srv.Connect("/admin", map[string]any{"sessionId": session})
	var config struct {
		SupportedFeatures []string `json:"supportedFeatures"`
	}
	scan(t, again.Next("config"), &config)
	if want := []string{"AGGREGATED_EVENTS", "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT", "ALL_EVENTS"}; !slices.Equal(config.SupportedFeatures, want) {
		t.Errorf("features %v, want %v", config.SupportedFeatures, want)
	}
}

// TestLifeOfASocket follows the messages about a socket of another server, in the order of Node's
// servers.
func TestLifeOfASocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, instrumented(adminui.Config{Anyone: true}))
		before := servers[1].Connect("/", map[string]string{"token": "hidden"})
		admin := servers[0].Connect("/admin", nil)
		var all []socket
		scan(t, admin.Next("all_sockets"), &all)
		i := slices.IndexFunc(all, func(s socket) bool { return s.ID == before.ID() })
		if i < 0 {
			t.Fatalf("all_sockets %+v, want also %s", all, before.ID())
		}
		if s := all[i]; s.Namespace != "/" || s.Transport != "websocket" || len(s.ClientID) != 12 || len(s.Data) != 0 ||
			!slices.Equal(s.Rooms, []string{s.ID}) || s.Handshake["auth"] != nil || s.Handshake["url"] == "" || s.Handshake["issued"] == 0.0 {
			t.Errorf("socket %+v", s)
		}

		bob := servers[1].ConnectWith(client.Config{Transports: []string{"polling"}}, "/")
		id := bob.ID()
		steps := []string{}
		expect := func(event string) socketio.Args {
			t.Helper()
			args := admin.Next(event)
			steps = append(steps, event)
			return args
		}
		var nsp, room, who string
		for { // the admin's own room comes, too
			if scan(t, expect("room_joined"), &nsp, &room, &who); who == id {
				break
			}
		}
		if nsp != "/" || room != id {
			t.Errorf("first room %s of %s, want its own", room, nsp)
		}
		var s socket
		for s.ID != id {
			scan(t, expect("socket_connected"), &s)
		}
		if s.Transport != "polling" {
			t.Errorf("connected %+v", s)
		}
		bob.Call("echo", "hello")
		var args []any
		scan(t, expect("event_received"), &nsp, &who, &args)
		if nsp != "/" || who != id || fmt.Sprint(args) != "[echo hello]" {
			t.Errorf("received %s %s %v", nsp, who, args)
		}
		servers[1].To(id).Emit("news", 1, []byte("x"))
		scan(t, expect("event_sent"), &nsp, &who, &args)
		if who != id || fmt.Sprint(args) != "[news 1 [120]]" {
			t.Errorf("sent %s %v", who, args)
		}
		if err := bob.Emit("join", "lobby"); err != nil {
			t.Fatal(err)
		}
		scan(t, expect("room_joined"), &nsp, &room, &who)
		if room != "lobby" || who != id {
			t.Errorf("joined %s %s", room, who)
		}
		admin.Emit("leave", "/", "lobby", id)
		scan(t, expect("room_left"), &nsp, &room, &who)
		if room != "lobby" || who != id {
			t.Errorf("left %s %s", room, who)
		}
		admin.Emit("_disconnect", "/", false, id)
		bob.WantDisconnect("io server disconnect")
		var reason string
		scan(t, expect("socket_disconnected"), &nsp, &who, &reason)
		if who != id || reason != "server namespace disconnect" {
			t.Errorf("disconnected %s %s", who, reason)
		}
		scan(t, expect("room_left"), &nsp, &room, &who)
		if room != id || who != id {
			t.Errorf("left %s %s at the end", room, who)
		}
	})
}

func TestActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		servers := socketiotest.ServeCluster(t, 2, socketio.Config{},
			instrumented(adminui.Config{Anyone: true, Log: slog.New(slog.NewTextHandler(&log, nil))}))
		ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
		admin := servers[0].Connect("/admin", nil)
		admin.Emit("join", "/", "red", bob.ID())
		synctest.Wait()
		admin.Emit("emit", "/", "red", "news", 1, map[string]any{"a": []byte("b")})
		bob.Want("news", 1, map[string]any{"a": []byte("b")})
		admin.Emit("emit", "/", nil, "all")
		ada.Want("all")
		bob.Want("all")
		admin.Emit("leave", "/", "red", nil)
		synctest.Wait()
		admin.Emit("emit", "/", "red", "nobody")
		admin.Emit("emit", "/made", nil, "nobody") // must not make a namespace
		synctest.Wait()
		ada.WantNothing()
		bob.WantNothing()
		for n := range servers[0].Namespaces() {
			if n.Name() == "/made" {
				t.Error("an admin has made a namespace")
			}
		}
		if !strings.Contains(log.String(), "action=join") || !strings.Contains(log.String(), "no such namespace") {
			t.Errorf("log %s", &log)
		}
	})
}

func TestReadOnlyAndProduction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := socketiotest.Serve(t, socketio.Config{}, instrumented(adminui.Config{Anyone: true, ReadOnly: true, Production: true}))
		ada := srv.Connect("/", nil)
		admin := srv.Connect("/admin", nil)
		admin.Want("config", map[string]any{"supportedFeatures": []string{"AGGREGATED_EVENTS"}})
		admin.Emit("_disconnect", "/", true, nil)
		ada.Call("echo", "x")
		admin.Next("server_stats")
		time.Sleep(time.Second) // of the bubble
		admin.WantNothing()
	})
}

// TestStats reads the counts of one server.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := socketiotest.Serve(t, socketio.Config{}, instrumented(adminui.Config{Anyone: true, ServerID: "one"}))
		admin := srv.Connect("/admin", nil)
		admin.Next("server_stats")
		polling := srv.ConnectWith(client.Config{Transports: []string{"polling"}}, "/")
		polling.Call("echo", "hello")
		var stats struct {
			ServerID   string
			Hostname   string
			PID        int
			Uptime     float64
			Clients    int `json:"clientsCount"`
			Polling    int `json:"pollingClientsCount"`
			Aggregated []struct {
				Timestamp int64
				Type      string
				SubType   string
				Count     int
			} `json:"aggregatedEvents"`
			Namespaces []struct {
				Name    string
				Sockets int `json:"socketsCount"`
			}
		}
		scan(t, admin.Next("server_stats"), &stats)
		if stats.ServerID != "one" || stats.PID == 0 || stats.Clients != 2 || stats.Polling != 1 || len(stats.Namespaces) != 2 {
			t.Errorf("stats %+v", stats)
		}
		counts := make(map[string]int)
		for _, a := range stats.Aggregated {
			counts[a.Type] += a.Count
			if a.Timestamp%1000 != 0 {
				t.Errorf("timestamp %d isn't that of a second", a.Timestamp)
			}
		}
		if counts["rawConnection"] != 1 || counts["packetsIn"] != 2 || counts["bytesIn"] < 17 || counts["packetsOut"] < 2 || counts["bytesOut"] < 20 {
			t.Errorf("counts %v", counts)
		}
		polling.Disconnect()
		admin.Next("server_stats")
	})
}

// TestQuietWithoutAdmins wants no message while nobody watches.
func TestQuietWithoutAdmins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, instrumented(adminui.Config{Anyone: true}))
		var sent atomic.Int32
		for _, srv := range servers {
			srv.Of("/admin").OnAnyOutgoing(func(*socketio.Socket, string, socketio.Args) { sent.Add(1) })
		}
		ada := servers[1].Connect("/", nil)
		ada.Call("echo", "x")
		time.Sleep(time.Minute)
		if n := sent.Load(); n != 0 {
			t.Errorf("%d messages to nobody", n)
		}
		admin := servers[0].Connect("/admin", nil)
		admin.Next("all_sockets")
		ada.Call("echo", "x")
		admin.Next("event_received")
		time.Sleep(time.Minute) // the lease is renewed
		ada.Call("echo", "y")
		admin.Next("event_received")
		admin.Disconnect()
		time.Sleep(time.Minute)
		var calls atomic.Int32
		for _, srv := range servers {
			srv.Of("/admin").OnServer("sidereal:watch", func() { calls.Add(1) })
		}
		time.Sleep(time.Minute)
		if n := calls.Load(); n != 0 {
			t.Errorf("%d renewals without an admin", n)
		}
	})
}

// TestManySockets wants the UI to be told of a bounded number, and how many there are.
func TestManySockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, instrumented(adminui.Config{Anyone: true}))
		for i := range 1200 {
			servers[i%2].Connect("/", nil)
		}
		admin := servers[0].Connect("/admin", nil)
		var all []socket
		scan(t, admin.Next("all_sockets"), &all)
		if len(all) < 500 || len(all) > adminui.MaxSockets {
			t.Errorf("%d sockets, want at most %d", len(all), adminui.MaxSockets)
		}
		var stats struct{ Hostname string }
		scan(t, admin.Next("server_stats"), &stats)
		if !strings.Contains(stats.Hostname, "of 600 sockets") && !strings.Contains(stats.Hostname, "of 601 sockets") {
			t.Errorf("hostname %q doesn't say that sockets are left out", stats.Hostname)
		}
	})
}

// TestLongArguments wants long events and values to be shortened.
func TestLongArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		note := socketio.NewKey[string]("note")
		srv := socketiotest.Serve(t, socketio.Config{}, func(ctx context.Context, io *socketio.Server) error {
			io.Share(note)
			io.On("note", func(s *socketio.Socket, text string) error { return note.Set(s, text) })
			return instrumented(adminui.Config{Anyone: true})(ctx, io)
		})
		admin := srv.Connect("/admin", nil)
		admin.Next("all_sockets")
		ada := srv.Connect("/", nil)
		ada.Call("echo", strings.Repeat("x", 100_000))
		var nsp, id string
		var args []any
		scan(t, admin.Next("event_received"), &nsp, &id, &args)
		if fmt.Sprint(args) != "[echo (1 arguments more)]" {
			t.Errorf("arguments %.100s", fmt.Sprint(args))
		}
		ada.Emit("note", "short")
		time.Sleep(5 * time.Second)
		ada.Emit("note", strings.Repeat("x", 20_000))
		for _, want := range []string{`{"note":"short"}`, `{"note":"(20002 bytes)"}`} {
			var update struct {
				ID   string          `json:"id"`
				Data json.RawMessage `json:"data"`
			}
			if scan(t, admin.Next("socket_updated"), &update); update.ID != ada.ID() || string(update.Data) != want {
				t.Errorf("update %s of %s, want %s", update.Data, update.ID, want)
			}
		}
	})
}
