package apikey

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	keys, err := Parse("shop=0123456789abcdef==,\n jobs:emit+join@/orders+/chat=fedcba9876543210\r\n")
	if err != nil || len(keys) != 2 {
		t.Fatal(keys, err)
	}
	if got := First(" a=0123456789abcdef==\r\nb=x"); got != "0123456789abcdef==" {
		t.Errorf("the first is %q", got)
	}
	shop, jobs := &keys[0], &keys[1]
	for what, ok := range map[string]bool{
		"names":           shop.Name == "shop" && jobs.Name == "jobs",
		"shop does all":   shop.MayDo("disconnect") && shop.MayReach("/any"),
		"jobs emits":      jobs.MayDo("emit") && jobs.MayReach("/chat"),
		"jobs is limited": !jobs.MayDo("disconnect") && !jobs.MayReach("/"),
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
}

func TestWrongKeysAreRefusedWithoutTheirText(t *testing.T) {
	const secret = "s3cr3t-s3cr3t-s3cr3t"
	for _, text := range []string{
		secret, "a=short", "=" + secret, "a b=" + secret, "a=" + secret + " x", "a=" + secret + "\x00",
		"a:fly=" + secret, "a:=" + secret, "a@=" + secret, "a@chat=" + secret, "a=" + secret + ",a=another-" + secret, "a=" + secret + ",b=" + secret,
		"a=" + strings.Repeat("x", 1025), strings.Repeat("a", 65) + "=" + secret,
	} {
		if keys, err := Parse(text); err == nil {
			t.Errorf("%q: %v", text, keys)
		} else if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: the error has the key: %v", text, err)
		}
	}
	var many strings.Builder
	for i := range 101 {
		many.WriteString("k" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + "=" + secret + string(rune('!'+i)) + "\n")
	}
	if _, err := Parse(many.String()); err == nil {
		t.Error("101 keys")
	}
}

func TestFind(t *testing.T) {
	keys, err := Parse("one=0123456789abcdef,two=fedcba9876543210")
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"Bearer 0123456789abcdef": "one", "bearer  fedcba9876543210": "two", "Bearer 0123456789abcdeF": "", "Bearer 0123456789abcde": "",
		"Basic 0123456789abcdef": "", "0123456789abcdef": "", "": "", "Bearer ": "",
	} {
		got := ""
		if i, ok := Find(keys, header); ok {
			got = keys[i].Name
		}
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
