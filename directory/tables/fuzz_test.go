package tables

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"toastmaster/directory"
)

// seeds are the files of the comparison with Postfix.
func seeds(f *testing.F, pattern string) {
	files, err := filepath.Glob("testdata/postmap/" + pattern)
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "key1")
		f.Add(string(text), "192.168.1.5")
	}
}

// fuzzParser: no text makes it fall over, and who asks gets an answer of the four.
func fuzzParser(f *testing.F, parse parser) {
	l := limits{maxLine: 1 << 12, maxEntries: 1000, maxResult: 1000, matchTimeout: 10 * time.Millisecond}
	f.Fuzz(func(t *testing.T, text, key string) {
		s := &source{file: "f", rest: text, maxLine: l.maxLine}
		c, err := parse("t", s, l)
		if err != nil {
			m, ok := err.(*Mistake)
			if !ok || m.Line < 0 || m.Text == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		found, err := c.lookup(context.Background(), key)
		if (err == nil) == (directory.OutcomeOf(err) != directory.Found) || len(found) > l.maxResult {
			t.Fatalf("%q, %v", found, err)
		}
		again, _ := c.lookup(context.Background(), key)
		if again != found && err == nil {
			t.Fatalf("%q, then %q", found, again)
		}
	})
}

func FuzzText(f *testing.F) {
	seeds(f, "*.texthash")
	fuzzParser(f, parseText)
}

func FuzzCIDR(f *testing.F) {
	seeds(f, "*.cidr")
	fuzzParser(f, parseCIDR)
}

func FuzzRegexp(f *testing.F) {
	seeds(f, "*.regexp")
	fuzzParser(f, parseRegexp)
}

func FuzzPCRE(f *testing.F) {
	seeds(f, "*.pcre")
	fuzzParser(f, parsePCRE)
}

// FuzzName is what stands in braces.
func FuzzName(f *testing.F) {
	for _, s := range []string{"inline:{a=b, {c = d e}}", "static:{x}", "unionmap:{static:a,pipemap:{static:b,inline:{b=c}}}", "regexp:{{/a/ b}}", "randmap:{a,{b c}}", "proxy:fail:x"} {
		f.Add(s, "key")
	}
	set := NewSet(Options{Params: limitsForTest(), Dir: "/nonexistent"})
	f.Fuzz(func(t *testing.T, table, key string) {
		opened, err := set.Open(context.Background(), table)
		if err != nil {
			return
		}
		if _, isServer := opened.(*socketmap); isServer {
			return
		}
		if _, isServer := opened.(*tcpTable); isServer {
			return
		}
		_, _ = opened.Lookup(context.Background(), key)
	})
}

// FuzzTCP: what is encoded is decoded.
func FuzzTCP(f *testing.F) {
	f.Add("a b%\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		back, err := decodeTCP(encodeTCP(s))
		if err != nil || back != s {
			t.Fatalf("%q, %v", back, err)
		}
		_, _ = decodeTCP(s)
	})
}
