package packet

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseQuery(t *testing.T) {
	for _, c := range []struct {
		text                string
		eio, transport, sid string
		j                   string
		hasJ                bool
	}{
		{"", "", "", "", "", false},
		{"EIO=4&transport=polling", "4", "polling", "", "", false},
		{"EIO=4&transport=websocket&sid=a", "4", "websocket", "a", "", false},
		{"EIO=4&transport=polling&j=0", "4", "polling", "", "0", true},
		{"j", "", "", "", "", true},
		{"j=", "", "", "", "", true},
		{"sid=a&sid=b", "", "", "b", "", false},
		{"sid=a&sid=", "", "", "", "", false},
		{"sid=a&sid", "", "", "", "", false},
		{"&&sid=a&&", "", "", "a", "", false},
		{"sid=a=b", "", "", "a=b", "", false},
		{"=sid&sid=a?b", "", "", "a?b", "", false},
		{"%73%69%64=%61%2Db", "", "", "a-b", "", false},
		{"%45IO=3", "3", "", "", "", false},
		{"s%69d=a+b", "", "", "a b", "", false},
		{"sid=%zz&transport=%", "", "%", "%zz", "", false},
		{"sid=%2&transport=%2g", "", "%2g", "%2", "", false},
		{"SID=a&Sid=b&sidx=c&xsid=d&si=e", "", "", "", "", false},
		{"s%2569d=a&%7=b&sid%00=c", "", "", "", "", false},
	} {
		q := ParseQuery(c.text)
		got := [...]string{decoded(q.EIO), decoded(q.Transport), decoded(q.SID), decoded(q.J)}
		want := [...]string{c.eio, c.transport, c.sid, c.j}
		if got != want || q.HasJ != c.hasJ {
			t.Errorf("%q: %q, j %v, want %q, j %v", c.text, got, q.HasJ, want, c.hasJ)
		}
	}
}

func decoded(s string) string { return string(AppendUnescaped(nil, s)) }

// FuzzQuery compares the parser with net/url.
func FuzzQuery(f *testing.F) {
	f.Add("EIO=4&transport=polling&t=Pabcdef&sid=AAAAbbbbccccddddeeee")
	f.Add("%73id=%41&sid=b+c&sid&j=%30&EIO")
	f.Add("sid=%4&transport=%zz&&=&sid==")
	f.Fuzz(func(t *testing.T, s string) {
		q := ParseQuery(s)
		values := map[string]string{"EIO": q.EIO, "transport": q.Transport, "sid": q.SID, "j": q.J}
		for key, value := range values {
			if text := decoded(value); len(text) > len(value) || !IsEscaped(value) && text != value {
				t.Errorf("%q: %s is %q, decoded %q", s, key, value, text)
			}
		}
		theirs, err := url.ParseQuery(s)
		if err != nil || strings.Contains(s, ";") {
			return // net/url refuses malformed escapes and semicolons
		}
		for key, value := range values {
			want := ""
			if all := theirs[key]; len(all) > 0 {
				want = all[len(all)-1]
			}
			if decoded(value) != want {
				t.Errorf("%q: %s is %q, net/url reads %q", s, key, decoded(value), want)
			}
		}
		if q.HasJ != theirs.Has("j") {
			t.Errorf("%q: j %v, net/url %v", s, q.HasJ, theirs.Has("j"))
		}
	})
}

func TestParseQueryAllocatesNothing(t *testing.T) {
	raw := "EIO=4&transport=polling&t=Pabcdef&sid=AAAA%2Dbbbccccddddeeee"
	var scratch [64]byte
	if n := testing.AllocsPerRun(100, func() {
		q := ParseQuery(raw)
		AppendUnescaped(scratch[:0], q.SID)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
