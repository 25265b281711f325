package box_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"toastmaster/mailstore/volume"
)

// TestLockTable: the locks of doc.go are places of the order that every test under the
// race detector asserts, and in that order.
func TestLockTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	check(t, err)
	table := regexp.MustCompile(`(?s)# Locks\n(.*?)\n// # `).FindString(string(text))
	var places []string
	for _, p := range volume.Ranks() {
		places = append(places, p.Name)
	}
	last := -1
	for _, m := range regexp.MustCompile(`(?m)^//\t([a-z]+) `).FindAllStringSubmatch(table, -1) {
		at := slices.Index(places, m[1])
		if at <= last {
			t.Errorf("%s is at place %d of %v", m[1], at, places)
		}
		last = at
	}
	if last < 0 {
		t.Error("no table")
	}
}
