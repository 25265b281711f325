package model

import (
	"testing"

	"toastmaster/internal/addr"
)

func TestExpandHome(t *testing.T) {
	t.Parallel()
	const root = "/var/vmail"
	for _, c := range []struct {
		template, local, want string
	}{
		{"", "alice", "example.test/alice"},
		{"%d/%n", "Al.ice/..", "example.test/%41l.ice%2F.."},
		{"/var/vmail/%d/%n/Maildir", "alice", "example.test/alice/Maildir"},
		{"/var/vmail/%u", "alice", "alice@example.test"},
		{"%d/%n/100%%", "alice", "example.test/alice/100%"},
		{"%d/%n", ".hidden", "example.test/%2Ehidden"},
		{"old/place", "alice", "old/place"}, {"%d/%n", "new", "example.test/new"},
		// Refused.
		{"/etc/%n", "alice", ""}, {"/var/vmail", "alice", ""}, {"/var/vmail/../%n", "alice", ""}, {"/var/vmailbox/%n", "alice", ""},
		{"../%n", "alice", ""}, {"%d/../%n", "alice", ""}, {"%d//%n", "alice", ""}, {"%d/%n/", "alice", ""}, {"./%n", "alice", ""},
		{".toastmaster/%n", "alice", ""}, {"%d/.%n", "alice", ""}, {"%d/%x", "alice", ""}, {"%d/%", "alice", ""},
		{"%d/\n%n", "alice", ""},
	} {
		got, err := ExpandHome(c.template, root, addr.Address{Local: c.local, Domain: "example.test"})
		if err != nil {
			got = ""
		}
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q of %q: %q, %v; want %q", c.template, c.local, got, err, c.want)
		}
	}
}
