package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// user is the person behind a connection.
type user struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"` // "customer" or "agent"
	Expires time.Time `json:"expires"`
}

var errToken = errors.New("log in again")

// tokens signs and checks tokens: a user in JSON, and the code that proves who wrote it.
type tokens struct{ secret []byte }

func (t tokens) sign(u user) string {
	text, err := json.Marshal(u)
	if err != nil {
		panic(err) // a user is always JSON
	}
	return encode(text) + "." + encode(t.code(text))
}

func (t tokens) verify(token string) (u user, err error) {
	first, second, _ := strings.Cut(token, ".")
	text, err1 := base64.RawURLEncoding.DecodeString(first)
	code, err2 := base64.RawURLEncoding.DecodeString(second)
	if err1 != nil || err2 != nil || !hmac.Equal(code, t.code(text)) || json.Unmarshal(text, &u) != nil {
		return user{}, errToken
	}
	if time.Now().After(u.Expires) {
		return user{}, errToken
	}
	return u, nil
}

func (t tokens) code(text []byte) []byte {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write(text)
	return mac.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
