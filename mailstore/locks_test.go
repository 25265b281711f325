package mailstore

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"toastmaster/internal/lockorder"
	"toastmaster/mailstore/volume"
)

// TestLockTable: doc.go has the locks, in the order that is asserted.
func TestLockTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	check(t, err)
	table := regexp.MustCompile(`(?s)# Locks\n(.*?)\n// # `).FindString(string(text))
	var listed, names []string
	for _, m := range regexp.MustCompile(`(?m)^//\t([a-z]+) `).FindAllStringSubmatch(table, -1) {
		listed = append(listed, m[1])
	}
	ranks := volume.Ranks()
	for _, p := range ranks {
		names = append(names, p.Name)
	}
	if !slices.Equal(listed, names) || !slices.IsSortedFunc(ranks, func(a, b lockorder.Rank) int { return a.At - b.At }) {
		t.Errorf("doc.go has %v, the order is %v", listed, ranks)
	}
}

// TestLocksTheWrongWayRound: a mailbox is taken under what comes behind it. Only
// under the race detector somebody looks.
func TestLocksTheWrongWayRound(t *testing.T) {
	t.Parallel()
	s, u, _ := openEmpty(t)
	v := openView(t, u, "INBOX")
	func() {
		defer func() {
			if r := recover(); (r != nil) != lockorder.Asserted {
				t.Errorf("%v", r)
			}
		}()
		s.mu.Lock()
		defer s.mu.Unlock()
		v.Info()
	}()
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
