package storetest_test

import (
	"slices"
	"testing"
	"time"

	"toastmaster/mailstore"
)

// TestAKilledProcessComesBackBesideAnother: a process is killed before a checkpoint has marked what
// its journal has, the other one takes the folder away, and the first comes back. What it stored
// went along with the folder; it is not stored again, in a new folder of the old name.
func TestAKilledProcessComesBackBesideAnother(t *testing.T) {
	t.Parallel()
	parameters := map[string]any{"SyncInterval": time.Hour, "CheckpointInterval": time.Hour}
	for name, c := range map[string]struct {
		by   []order // the process that is killed
		then []order // the other one
		want map[string][]string
	}{
		"renamed": {
			by:   []order{{Do: "deliver durably", Name: "one", To: "A"}},
			then: []order{{Do: "rename", Name: "A", To: "B"}},
			want: map[string][]string{"B": {"one"}},
		},
		"renamed, and made anew": {
			by:   []order{{Do: "deliver durably", Name: "one", To: "A"}},
			then: []order{{Do: "rename", Name: "A", To: "B"}, {Do: "create", Name: "A"}, {Do: "deliver", Name: "two", To: "A"}},
			want: map[string][]string{"A": {"two"}, "B": {"one"}},
		},
		"deleted": {
			by:   []order{{Do: "deliver durably", Name: "one", To: "A"}},
			then: []order{{Do: "delete", Name: "A"}},
		},
		"deleted, and made anew": {
			by:   []order{{Do: "deliver durably", Name: "one", To: "A"}},
			then: []order{{Do: "delete", Name: "A"}, {Do: "create", Name: "A"}},
			want: map[string][]string{"A": nil},
		},
		"INBOX renamed": {
			by:   []order{{Do: "deliver durably", Name: "one"}},
			then: []order{{Do: "rename", Name: "INBOX", To: "B"}},
			want: map[string][]string{"A": nil, "B": {"one"}},
		},
		"copied to what was renamed": {
			by:   []order{{Do: "deliver durably", Name: "one"}, {Do: "copy", Name: "INBOX", Subject: "one", To: "A"}},
			then: []order{{Do: "rename", Name: "A", To: "B"}},
			want: map[string][]string{"INBOX": {"one"}, "B": {"one"}},
		},
		"copied to what was deleted, and made anew": {
			by:   []order{{Do: "deliver durably", Name: "one"}, {Do: "copy", Name: "INBOX", Subject: "one", To: "A"}},
			then: []order{{Do: "delete", Name: "A"}, {Do: "create", Name: "A"}},
			want: map[string][]string{"INBOX": {"one"}, "A": nil},
		},
		"moved to what was renamed": {
			by:   []order{{Do: "deliver durably", Name: "one"}, {Do: "move", Name: "INBOX", Subject: "one", To: "A"}},
			then: []order{{Do: "rename", Name: "A", To: "B"}},
			want: map[string][]string{"B": {"one"}},
		},
		"moved to what was deleted": {
			by:   []order{{Do: "deliver durably", Name: "one"}, {Do: "move", Name: "INBOX", Subject: "one", To: "A"}},
			then: []order{{Do: "delete", Name: "A"}},
		},
		"expunged from what was renamed": {
			by:   []order{{Do: "deliver durably", Name: "one", To: "A"}, {Do: "expunge", Name: "A", Subject: "one"}},
			then: []order{{Do: "rename", Name: "A", To: "B"}},
			want: map[string][]string{"B": nil},
		},
		"deleted by the one that was killed, and made anew": {
			by:   []order{{Do: "deliver durably", Name: "one", To: "A"}, {Do: "delete", Name: "A"}},
			then: []order{{Do: "create", Name: "A"}, {Do: "deliver", Name: "two", To: "A"}},
			want: map[string][]string{"A": {"two"}},
		},
		"renamed by the one that was killed, and made anew": {
			by:   []order{{Do: "deliver durably", Name: "one", To: "A"}, {Do: "rename", Name: "A", To: "B"}},
			then: []order{{Do: "rename", Name: "B", To: "C"}, {Do: "create", Name: "A"}, {Do: "deliver", Name: "two", To: "A"}},
			want: map[string][]string{"A": {"two"}, "C": {"one"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both := couple(t, parameters)
			both[1].do(t, order{Do: "create", Name: "A"})
			for _, o := range c.by {
				both[0].do(t, o)
			}
			both[0].kill()
			for _, o := range c.then {
				both[1].do(t, o)
			}
			again := startWorker(t, both[0].root, parameters)
			for _, w := range []*worker{again, both[1]} {
				folders := w.do(t, order{Do: "list"}).Folders
				for _, folder := range []string{"INBOX", "A", "B", "C"} {
					want, there := c.want[folder]
					if folder != "INBOX" && there != slices.ContainsFunc(folders, func(f mailstore.Folder) bool { return f.Name == folder }) {
						t.Errorf("folder %s is there: %v", folder, !there)
						continue
					}
					if folder != "INBOX" && !there {
						continue
					}
					var got []string
					for _, m := range w.do(t, order{Do: "messages", Name: folder}).Messages {
						got = append(got, m.Subject)
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s has %q, want %q", folder, got, want)
					}
				}
			}
		})
	}
}
