package house

import (
	"bytes"
	"strings"
	"testing"
)

// TestServersHaveSessionsOnly: who serves somebody reaches mail by a
// mailstore.Session, which looks at rights, and no account behind it.
func TestServersHaveSessionsOnly(t *testing.T) {
	seen := 0
	walkGo(t, func(path string, text []byte) {
		server := false
		for _, dir := range []string{"mailstore/imapd/", "mailstore/pop3d/", "mailstore/login/"} {
			server = server || strings.HasPrefix(path, dir)
		}
		if !server || strings.HasSuffix(path, "_test.go") {
			return
		}
		seen++
		for _, way := range []string{"mailstore.User", ".User(", ".Deliver("} {
			if bytes.Contains(text, []byte(way)) {
				t.Errorf("%s has %s", path, way)
			}
		}
	})
	if seen < 50 {
		t.Errorf("%d files", seen)
	}
}
