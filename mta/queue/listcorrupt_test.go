package queue

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/faultfs"
)

func write(t *testing.T, d *faultfs.Disk, name, text string) {
	t.Helper()
	f, err := d.OpenFile(filepath.Join("/queue", name), os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = f.Write([]byte(text))
	must(t, err)
	must(t, f.Close())
}

// TestListOfCorrupt: what can be known of a corrupt message is told, and that
// nothing is known of the rest.
func TestListOfCorrupt(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	q := open(t, options(d))
	defer closeQueue(t, q)
	whole := add(t, q, "whole\n", "a")
	must(t, q.Hold(context.Background(), whole.ID))
	must(t, d.Rename(q.disk.files.path(Hold, whole.ID), "/queue/corrupt/"+string(whole.ID)))
	stub, content, both := string(q.NewID()), string(q.NewID()), string(q.NewID())
	write(t, d, "corrupt/"+stub, "stub")
	write(t, d, "corrupt/"+content+".content", "12345")
	write(t, d, "corrupt/"+both+".content", "123")
	write(t, d, "corrupt/"+both+".record", "1234")
	write(t, d, "corrupt/segment-3-4096", "123")
	write(t, d, "corrupt/record-1-2", "1")
	write(t, d, "journal/segment-000009.damaged", "12")

	all, err := q.List(context.Background(), Filter{Place: Corrupt}, "", 10)
	must(t, err)
	want := map[string]Info{
		string(whole.ID): {Sender: whole.Sender.String(), Recipients: []RecipientInfo{{Address: "a@example.test"}}, Files: []string{string(whole.ID)}},
		stub:             {Sender: Unknown, Reason: "short", Files: []string{stub}, Size: 4},
		content:          {Sender: Unknown, Reason: "lost", Files: []string{content + ".content"}, Size: 5},
		both:             {Sender: Unknown, Reason: "damaged", Files: []string{both + ".record", both + ".content"}, Size: 7},
	}
	if len(all) != len(want) {
		t.Errorf("%d listed", len(all))
	}
	for _, got := range all {
		w := want[string(got.ID)]
		for i := range w.Files {
			w.Files[i] = "/queue/corrupt/" + w.Files[i]
		}
		if got.Place != Corrupt || got.Sender != w.Sender || len(got.Recipients) != len(w.Recipients) || !strings.Contains(got.Reason, w.Reason) ||
			(got.Reason == "") != (w.Reason == "") || strings.Join(got.Files, " ") != strings.Join(w.Files, " ") ||
			w.Size != 0 && got.Size != w.Size || got.Arrived.IsZero() {
			t.Errorf("%+v, want %+v", got, w)
		}
	}

	remains, err := q.Remains(context.Background())
	must(t, err)
	if len(remains) != 2 || remains[0] != (Files{Path: "/queue/corrupt", Count: 2, Size: 4}) || remains[1] != (Files{Path: "/queue/journal/*.damaged", Count: 1, Size: 2}) {
		t.Errorf("%+v", remains)
	}
}
