package directory

import (
	"net/netip"
	"strings"
	"testing"
)

func TestListsOfUpstreams(t *testing.T) {
	got, err := parseUpstreams(" http://10.0.0.4:3000, https://App.Example/,http://[2001:db8::1]:80,http://localhost , ")
	if err != nil {
		t.Fatal(err)
	}
	want := []listing{{"http", "10.0.0.4", 3000}, {"https", "app.example", 443}, {"http", "2001:db8::1", 80}, {"http", "localhost", 80}}
	if len(got) != len(want) {
		t.Fatal(got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
	if a := got[0].literal(); got[0].id(a) != "http://10.0.0.4:3000" || got[0].addr(a) != "10.0.0.4:3000" {
		t.Errorf("%s at %s", got[0].id(a), got[0].addr(a))
	}
	if a := netip.MustParseAddr("::ffff:10.0.0.9"); got[1].literal().IsValid() || got[1].id(a) != "https://10.0.0.9:443" {
		t.Errorf("%v %s", got[1].literal(), got[1].id(a))
	}
	if a := got[2].literal(); got[2].addr(a) != "[2001:db8::1]:80" {
		t.Error(got[2].addr(a))
	}
}

func TestWrongLists(t *testing.T) {
	for list, rule := range map[string]string{
		"":                          "lists no upstream",
		" , ":                       "lists no upstream",
		"10.0.0.4:3000":             "must begin with http:// or https://",
		"ftp://10.0.0.4":            "must begin with http:// or https://",
		"localhost:3000":            "must begin with http:// or https://",
		"http://:3000":              "has no host",
		"http://a/socket.io/":       "nothing more",
		"http://user:secret@a":      "nothing more",
		"http://a?b":                "nothing more",
		"http://a:0":                "1 to 65535",
		"http://a:70000":            "1 to 65535",
		"http://a:http":             "invalid port",
		"http://0.0.0.0:3000":       "isn't the address of a server",
		"http://[fe80::1%25eth0]:1": "zone",
		"http://a:80,http://A":      "listed twice",
		"http://a:3000,http//b":     "http//b",
	} {
		if err := CheckUpstreams(list); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%q: %v, want %q", list, err, rule)
		}
	}
}
