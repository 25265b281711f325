package mailstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/vfs"
)

// ender ends a context at the n-th link or rename of a message file.
type ender struct {
	vfs.FS
	left   int
	cancel context.CancelFunc
}

func (e *ender) count(name string) {
	if !strings.Contains(name, "/cur/") && !strings.Contains(name, "/new/") {
		return
	}
	if e.left--; e.left == 0 {
		e.cancel()
	}
}

func (e *ender) Rename(from, to string) error {
	e.count(from)
	return e.FS.Rename(from, to)
}

func (e *ender) Link(from, to string) error {
	e.count(from)
	return e.FS.Link(from, to)
}

// TestContextEndsWithin ends the context while a command works on many messages:
// STORE keeps what was done, COPY and MOVE are whole or nothing.
func TestContextEndsWithin(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"store", "copy", "move"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			fsys := &ender{FS: vfs.OS{}}
			o := options(t.TempDir())
			o.FS, o.Store.DefaultFolders = fsys, []string{"Archive"}
			s, err := Open(t.Context(), o)
			check(t, err)
			u := openUser(t, s)
			seqs := make([]uint32, 30)
			for i := range seqs {
				seqs[i] = uint32(i) + 1
				deliver(t, s, Delivery{Content: message(fmt.Sprint(i))})
			}
			v := openView(t, u, "INBOX")
			check(t, u.MakeDefault(t.Context(), "Archive"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			fsys.cancel, fsys.left = cancel, 7
			switch what {
			case "store":
				_, err = v.SetFlags(ctx, seqs, FlagsAdd, []imap.Flag{imap.FlagFlagged}, 0)
			case "copy":
				_, _, err = v.Copy(ctx, seqs, "Archive")
			case "move":
				_, _, err = v.Move(ctx, seqs, "Archive")
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			flagged := 0
			for _, seq := range seqs {
				if len(v.Message(seq).Flags) > 0 {
					flagged++
				}
			}
			if what == "store" && flagged != 7 || what != "store" && flagged != 0 {
				t.Errorf("%d are flagged", flagged)
			}
			if in, there := subjectsOf(t, s, "INBOX"), subjectsOf(t, s, "Archive"); len(in) != 30 || len(there) != 0 {
				t.Errorf("%d in INBOX, %d in Archive", len(in), len(there))
			}
			check(t, v.Close())
			check(t, u.Close())
			check(t, s.Close())
		})
	}
}
