package keys

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
)

func must(t *testing.T, s string) addr.Address {
	t.Helper()
	if s == "" {
		return addr.Address{}
	}
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestWalks has the orders of the manual pages. A key with "~" is a part.
func TestWalks(t *testing.T) {
	own := Options{Delimiters: "+", Own: func(d string) bool { return d == "own.test" }}
	parent := Options{Delimiters: "+", ParentMatches: true}
	for _, c := range []struct {
		what string
		walk Walk
		want string
	}{
		{"virtual", Address(must(t, "joe+x@a.test"), own), "joe+x@a.test ~joe@a.test ~@a.test"},
		{"virtual, own", Address(must(t, "joe+x@own.test"), own), "joe+x@own.test ~joe@own.test ~joe+x ~joe ~@own.test"},
		{"virtual, own, no extension", Address(must(t, "joe@own.test"), own), "joe@own.test ~joe ~@own.test"},
		{"virtual, no delimiter", Address(must(t, "joe+x@a.test"), Options{}), "joe+x@a.test ~@a.test"},
		{"virtual, quoted", Address(must(t, `"a b"@own.test`), own), `"a b"@own.test ~"a b" ~@own.test`},
		{"virtual, null", Address(addr.Address{}, own), "<>"},
		{"virtual, bare", Address(must(t, "joe"), own), "joe"},
		{"access", Access(must(t, "joe+x@a.b.test"), own), "joe+x@a.b.test ~joe@a.b.test ~a.b.test ~.b.test ~.test ~joe+x@ ~joe@"},
		{"access, parent", Access(must(t, "joe@a.b.test"), parent), "joe@a.b.test ~a.b.test ~b.test ~test ~joe@"},
		{"access, null", Access(addr.Address{}, own), "<>"},
		{"access, literal", Access(must(t, "joe@[192.0.2.1]"), own), "joe@[192.0.2.1] ~[192.0.2.1] ~joe@"},
		{"transport", Transport(must(t, "joe+x@a.b.test"), own), "joe+x@a.b.test ~joe@a.b.test ~a.b.test ~.b.test ~.test ~*"},
		{"transport, parent", Transport(must(t, "joe@a.b.test"), parent), "joe@a.b.test ~a.b.test ~b.test ~test ~*"},
		{"domain", Domain("a.b.test", own), "a.b.test ~.b.test ~.test"},
		{"domain, dot", Domain("a.test.", own), "a.test. ~.test."},
		{"domain, literal", Domain("[192.0.2.1]", own), "[192.0.2.1]"},
		{"client", Client("mx.a.test", netip.MustParseAddr("192.0.2.9"), own), "mx.a.test ~.a.test ~.test 192.0.2.9 ~192.0.2 ~192.0 ~192"},
		{"client, v6", Client("unknown", netip.MustParseAddr("2001:db8::1"), parent), "unknown 2001:db8::1 ~2001:db8: ~2001:db8 ~2001"},
		{"client, mapped", Client("", netip.MustParseAddr("::ffff:192.0.2.9"), parent), "192.0.2.9 ~192.0.2 ~192.0 ~192"},
		{"client, none", Client("unknown", netip.Addr{}, parent), "unknown"},
	} {
		var got []string
		for _, k := range c.walk {
			if k.Part {
				k.Text = "~" + k.Text
			}
			got = append(got, k.Text)
		}
		if strings.Join(got, " ") != c.want && !slices.Equal(got, strings.Split(c.want, " ")) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// TestLookup: every table of a list is asked for a key before the next key; tables of
// patterns are asked for the whole one only.
func TestLookup(t *testing.T) {
	dir := t.TempDir()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup, Dir: dir})
	defer set.Close()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("@a.test any\njoe@a.test base\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	maps, _, err := set.OpenAll(context.Background(), []string{"regexp:{ {/^@/ wrong}, {/^jim/ pattern} }", "texthash:a", "inline:{joe+y@a.test=whole}"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Delimiters: "+"}
	for _, c := range []struct{ address, text, key, unmatched string }{
		{"joe+x@a.test", "base", "joe@a.test", "+x"},
		{"joe+y@a.test", "whole", "joe+y@a.test", ""},
		{"jim+x@a.test", "pattern", "jim+x@a.test", ""},
		{"ann+x@a.test", "any", "@a.test", "+x"},
	} {
		text, key, err := Address(must(t, c.address), o).Lookup(context.Background(), maps)
		if err != nil || text != c.text || key.Text != c.key || key.Unmatched != c.unmatched {
			t.Errorf("%s: %q by %+v, %v", c.address, text, key, err)
		}
	}
	if _, _, err := Address(must(t, "x@b.test"), o).Lookup(context.Background(), maps); directory.OutcomeOf(err) != directory.NotFound {
		t.Error(err)
	}
	failing, err := set.Open(context.Background(), "fail:x")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Address(must(t, "x@b.test"), o).Lookup(context.Background(), append(maps, failing)); directory.OutcomeOf(err) != directory.Unavailable {
		t.Error(err)
	}
}
