package mime

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestGolden holds the scan of nasty messages against what Dovecot 2.3.19
// answers (testdata/dovecot), or, for input so broken that we see more in it
// than Dovecot does, against our own answer (testdata/own). Literals and quoted
// strings count as the same, and so do CR LF and LF.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.eml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d messages: %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			message, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := os.ReadFile(strings.TrimSuffix(name, ".eml") + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			m := scanBytes(message)
			checkConsistent(t, message, m)
			checkGrammar(t, m)
			answer := fmt.Sprintf("RFC822.SIZE %d ENVELOPE %s BODYSTRUCTURE %s", m.WireSize, m.Envelope, m.Structure)
			got, want := normal(t, []byte(answer)), normal(t, bytes.TrimSuffix(golden, []byte("\n")))
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// normal writes every string, quoted or literal, as a quoted string of Go.
func normal(t *testing.T, b []byte) string {
	t.Helper()
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			s, n := unquote(nil, b[i:])
			out.WriteString(strconv.Quote(string(s)))
			i += n - 1
		case '{':
			var n int
			if _, err := fmt.Sscanf(string(b[i:]), "{%d}\n", &n); err != nil {
				t.Fatal(err)
			}
			i += bytes.IndexByte(b[i:], '\n') + 1
			out.WriteString(strconv.Quote(string(b[i : i+n])))
			i += n - 1
		default:
			out.WriteByte(b[i])
		}
	}
	return out.String()
}
