package main

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

var signed = tokens{secret: []byte("a test's")}

// as returns what a user with a token for a minute connects with.
func as(name, role string) map[string]string {
	return map[string]string{"token": signed.sign(user{Name: name, Role: role, Expires: time.Now().Add(time.Minute)})}
}

// open runs the desk on two servers that share their rooms, as on two hosts.
func open(t *testing.T) []*socketiotest.Server {
	app := desk{tokens: signed, password: "staff", files: files{dir: t.TempDir()}}
	cfg := limits()
	cfg.Recovery = &socketio.Recovery{}
	return socketiotest.ServeCluster(t, 2, cfg, app.setup)
}

// connect connects a client, which the desk greets.
func connect(host *socketiotest.Server, namespace string, auth map[string]string) *socketiotest.Client {
	c := host.Connect(namespace, auth)
	c.Next("welcome")
	return c
}

// refused wants an event to be answered with an error.
func refused(t *testing.T, c *socketiotest.Client, message, event string, args ...any) {
	t.Helper()
	if err := c.Fails(event, args...); err.Message != message {
		t.Errorf("%s answered %q; want %q", event, err.Message, message)
	}
}

func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		ada := connect(hosts[0], "/", as("ada", "customer"))
		grace := connect(hosts[1], "/agents", as("grace", "agent"))

		ada.Call("say", " hello? ")
		ada.Want("said", message{Customer: "ada", From: "ada", Text: "hello?", At: time.Now()})
		grace.Want("waiting", "ada")
		refused(t, ada, "a message has 1 to 2000 bytes", "say", " ")
		refused(t, grace, "take the conversation first", "say", "ada", "hi")

		phone := connect(hosts[0], "/agents", as("grace", "agent"))
		grace.Call("take", "ada")
		ada.Want("taken", "grace")
		grace.Call("say", "ada", "hi")
		hi := message{Customer: "ada", From: "grace", Text: "hi", At: time.Now()}
		ada.Want("said", hi)
		grace.Want("said", hi)
		phone.Want("said", hi)

		ada.Emit("typing")
		grace.Want("typing", "ada")

		ada.On("solved?", func() bool { return true })
		var solved bool
		if err := grace.Call("finish", "ada").Scan(&solved); err != nil || !solved {
			t.Errorf("solved: %t, %v", solved, err)
		}
		synctest.Wait()
		ada.Call("say", "thanks")
		grace.Want("waiting", "ada") // she has left the conversation
	})
}

func TestTheCustomerDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		ada := connect(hosts[0], "/", as("ada", "customer"))
		grace := connect(hosts[1], "/agents", as("grace", "agent"))
		start, solved := time.Now(), true
		if err := grace.Call("finish", "ada").Scan(&solved); err != nil || solved {
			t.Errorf("solved: %t, %v", solved, err)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("waited for %v", waited)
		}
		ada.Want("solved?")
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		if e := hosts[0].Refused("/agents", as("ada", "customer")); e.Message != "not for you" || string(e.Data) != `{"role":"customer"}` {
			t.Errorf("a customer at the agents' namespace: %v %s", e, e.Data)
		}
		forged := tokens{secret: []byte("another")}.sign(user{Name: "eve", Role: "agent", Expires: time.Now().Add(time.Hour)})
		for _, token := range []string{"", "x", forged, strings.ToUpper(as("ada", "customer")["token"])} {
			if e := hosts[0].Refused("/", map[string]string{"token": token}); e.Message != "log in again" {
				t.Errorf("%q: %v", token, e)
			}
		}
		old := as("ada", "customer")
		ada := connect(hosts[0], "/", old)
		time.Sleep(61 * time.Second) // the bubble's time
		ada.Want("expired")
		ada.WantDisconnect(client.ReasonServerDisconnect)
		if e := hosts[0].Refused("/", old); e.Message != "log in again" {
			t.Errorf("an old token: %v", e)
		}
	})
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		alan := connect(hosts[0], "/agents", as("alan", "agent"))
		desktop := connect(hosts[0], "/agents", as("grace", "agent"))
		alan.Want("online", "grace")
		phone := connect(hosts[1], "/agents", as("grace", "agent")) // the second device is no news
		synctest.Wait()
		desktop.Socket.Disconnect()
		synctest.Wait()
		alan.WantNothing()
		phone.Socket.Disconnect()
		alan.Want("offline", "grace")
	})
}

// TestAHostDies kills the host of a customer and an agent. On the other host they are who they
// were, and nobody is told that they left.
func TestAHostDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		alan := connect(hosts[1], "/agents", as("alan", "agent"))
		grace := connect(hosts[0], "/agents", as("grace", "agent"))
		ada := connect(hosts[0], "/", as("ada", "customer"))
		grace.Call("take", "ada")
		alan.Call("take", "ada")
		alan.Want("online", "grace")

		hosts[0].Kill()
		alan.Call("say", "ada", "Are you still there?")
		for _, c := range []*socketiotest.Client{ada, grace} {
			c.WantRecovered()
			c.Next("said")
		}
		ada.Call("say", "Yes.")
		if who := socketiotest.Call[[]string](grace, "who"); !slices.Equal(who, []string{"alan", "grace"}) {
			t.Errorf("who: %v", who)
		}
		alan.Next("said")
		alan.Next("said")
		alan.WantNothing()
	})
}

// TestATokenEndsWhileItsClientIsAway: the client isn't recovered, and has to log in again.
func TestATokenEndsWhileItsClientIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		ada := connect(hosts[0], "/", as("ada", "customer"))
		ada.SetOffline(true)
		time.Sleep(70 * time.Second)
		ada.SetOffline(false)
		if refusal := ada.WantRefused(); refusal.Message != "log in again" {
			t.Error(refusal)
		}
	})
}

// TestTheEnd stops a server: what was said is in the journal.
func TestTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		app := desk{tokens: signed, files: files{dir: dir}}
		host := socketiotest.Serve(t, limits(), app.setup)
		ada := connect(host, "/", as("ada", "customer"))
		ada.Call("say", "hello")
		host.Stop()
		if text, err := os.ReadFile(filepath.Join(dir, "journal-")); err != nil || !strings.Contains(string(text), `"text":"hello"`) {
			t.Errorf("the journal has %q, %v", text, err)
		}
	})
}

func TestOldUploadsGo(t *testing.T) {
	kept := files{dir: t.TempDir()}
	f, err := kept.put("picture.png", []byte("pixels"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		age := time.Hour // before now: the file is younger
		if !want {
			age = -time.Hour
		}
		if err := kept.removeBefore(time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
		opened, err := kept.open(f.Sum)
		if got := err == nil; got != want {
			t.Errorf("the file is there: %t, want %t", got, want)
		}
		if opened != nil {
			opened.Close()
		}
	}
}

func TestUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		ada := connect(hosts[0], "/", as("ada", "customer"))
		grace := connect(hosts[1], "/agents", as("grace", "agent"))
		grace.Call("take", "ada")
		content := bytes.Repeat([]byte("pixel "), maxFile/6)
		var f file
		if err := ada.Call("upload", "screen.png", content).Scan(&f); err != nil || f.Size != len(content) {
			t.Fatalf("%+v, %v", f, err)
		}
		grace.Want("uploaded", "ada", f)

		var got []byte
		grace.On("chunk", func(b []byte) error { got = append(got, b...); return nil })
		var size int
		if err := grace.Call("read", f.Sum).Scan(&size); err != nil || size != len(content) || !bytes.Equal(got, content) {
			t.Errorf("read %d bytes, told %d, %v", len(got), size, err)
		}
		refused(t, ada, "a file has 1 byte to 4 MB", "upload", "empty", []byte{})
		for _, sum := range []string{"../desk.go", strings.Repeat("00", 32)} {
			refused(t, grace, "no such file", "read", sum)
		}
	})
}

func TestRenewedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ada := connect(open(t)[0], "/", as("ada", "customer"))
		refused(t, ada, "not a newer token of yours", "renew", as("eve", "customer")["token"])
		time.Sleep(50 * time.Second)
		ada.Call("renew", as("ada", "customer")["token"])
		time.Sleep(50 * time.Second)
		ada.WantNothing()
		time.Sleep(11 * time.Second)
		ada.Want("expired")
	})
}

func TestEventsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		grace := connect(open(t)[0], "/agents", as("grace", "agent"))
		for range 10 {
			grace.Call("who")
		}
		refused(t, grace, "slow down", "who")
		time.Sleep(time.Second)
		grace.Call("who")
	})
}

func TestAFloodEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ada := connect(open(t)[0], "/", as("ada", "customer"))
		for range 2 * limits().MaxEventsPerSecond {
			ada.Emit("typing")
		}
		ada.WantDisconnect(client.ReasonTransportClose)
	})
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := open(t)
		request := func(method, path, token, body string) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, "http://desk.example"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Authorization", "Bearer "+token)
			answer, err := hosts[1].HTTP.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			return answer.StatusCode, strings.TrimSpace(string(text))
		}
		login := func(name, password string) (int, string) {
			return request("POST", "/login", "", url.Values{"name": {name}, "password": {password}}.Encode())
		}
		if code, text := login("grace", "wrong"); code != http.StatusForbidden {
			t.Errorf("wrong password: %d %s", code, text)
		}
		if code, text := login("", ""); code != http.StatusBadRequest {
			t.Errorf("no name: %d %s", code, text)
		}
		_, customer := login("ada", "")
		_, agent := login("grace", "staff")
		ada := connect(hosts[0], "/", map[string]string{"token": customer})
		grace := connect(hosts[0], "/agents", map[string]string{"token": agent})

		if code, text := request("GET", "/agents", "", ""); code != http.StatusOK || text != `["grace"]` {
			t.Errorf("agents: %d %s", code, text)
		}
		var who []string
		if err := grace.Call("who").Scan(&who); err != nil || !slices.Equal(who, []string{"grace"}) {
			t.Errorf("who: %v, %v", who, err)
		}
		for token, want := range map[string]int{"": http.StatusUnauthorized, customer: http.StatusUnauthorized, agent: http.StatusOK} {
			if code, text := request("POST", "/customers/ada/messages", token, "mail for you"); code != want {
				t.Errorf("message: %d %s, want %d", code, text, want)
			}
		}
		ada.Want("said", message{Customer: "ada", From: "grace", Text: "mail for you", At: time.Now()})
		if code, text := request("POST", "/customers/ada/messages", agent, ""); code != http.StatusBadRequest || text != "a message has 1 to 2000 bytes" {
			t.Errorf("an empty message: %d %s", code, text)
		}
		if code, _ := request("POST", "/customers/ada/messages", agent, strings.Repeat("x", 5000)); code != http.StatusRequestEntityTooLarge {
			t.Errorf("a large message: %d", code)
		}
	})
}
