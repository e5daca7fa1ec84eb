package main

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

// pages are the desk's HTTP API, on the same port as its events.
func (d desk) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", d.login)
	mux.HandleFunc("GET /agents", d.listAgents)
	mux.HandleFunc("POST /customers/{name}/messages", d.postMessage)
	return mux
}

// login returns a token for 15 minutes. It stands for the login that your site has already: it
// believes every customer, and every agent who knows the password.
func (d desk) login(w http.ResponseWriter, r *http.Request) {
	u := user{Name: r.FormValue("name"), Role: "customer", Expires: time.Now().Add(15 * time.Minute)}
	if u.Name == "" || len(u.Name) > 40 {
		http.Error(w, "a name has 1 to 40 bytes", http.StatusBadRequest)
		return
	}
	if password := r.FormValue("password"); password != "" {
		if subtle.ConstantTimeCompare([]byte(password), []byte(d.password)) == 0 {
			http.Error(w, "wrong password", http.StatusForbidden)
			return
		}
		u.Role = "agent"
	}
	io.WriteString(w, d.tokens.sign(u)+"\n")
}

// listAgents answers on any host with the agents on all of them.
func (d desk) listAgents(w http.ResponseWriter, r *http.Request) {
	names, err := d.present(r.Context())
	reply(w, names, err)
}

// postMessage says something to a customer in the name of the token's user.
func (d desk) postMessage(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	u, err := d.tokens.verify(token)
	if err != nil || u.Role != "agent" {
		http.Error(w, "an agent's token is missing", http.StatusUnauthorized)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<10))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	m, err := d.say(r.PathValue("name"), u, string(text))
	reply(w, m, err)
}

// reply writes a value as JSON. Clients see the text of a *socketio.Error and of no other.
func reply(w http.ResponseWriter, v any, err error) {
	var told *socketio.Error
	switch {
	case errors.As(err, &told):
		http.Error(w, told.Message, http.StatusBadRequest)
	case err != nil:
		http.Error(w, "internal error", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	}
}
