package queue

import (
	"os"
	"strings"
	"testing"
)

// TestTheLockTable: doc.go has the locks in the order of their places, which
// internal/lockorder asserts in every test of a program with the race detector.
func TestTheLockTable(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	must(t, err)
	at, before := 0, 0
	for _, l := range lockRanks() {
		p := l.Rank()
		i := strings.Index(string(doc[at:]), "//\t"+p.Name+" ")
		if i < 0 {
			t.Fatalf("doc.go does not have %s in its place", p.Name)
		}
		if p.At <= before {
			t.Errorf("%s has the place %d, behind %d", p.Name, p.At, before)
		}
		at, before = at+i, p.At
	}
}
