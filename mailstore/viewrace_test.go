package mailstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
)

// TestAViewSharesNothingWithAWriter is for the race detector: sessions that
// only look (EXAMINE) ask everything that can be asked, while mail arrives, a
// second session takes what is recent and expunges, another process takes part,
// and the index is lost and made again under them.
func TestAViewSharesNothingWithAWriter(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := quick(root)
	o.Store.LogLimit = 1 << 20 // two that write a snapshot at once would be another test
	s, other := start(t, o), start(t, o)
	for i := range 20 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint("old", i))})
	}
	const rounds = 60
	done := make(chan struct{})
	var looking, changing sync.WaitGroup
	for range 3 {
		looking.Go(func() { lookAll(t, s, done) })
	}
	for _, one := range []*Store{s, other} {
		changing.Go(func() {
			for i := range rounds {
				deliverAnew(t, one, fmt.Sprint("new", i))
			}
		})
	}
	changing.Go(func() { takeAndExpunge(t, s, rounds) })
	changing.Go(func() {
		for i := range rounds {
			files := []string{index.LogFile, index.SnapshotFile, uidListFile}
			for _, file := range files[:1+i%len(files)] {
				if err := os.Remove(home(root, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			}
			deliverAnew(t, other, fmt.Sprint("lost", i))
		}
	})
	changing.Wait()
	close(done)
	looking.Wait()
}

// deliverAnew delivers, also into a mailbox that is made anew this very moment,
// or whose index is removed while another process writes it.
func deliverAnew(t *testing.T, s *Store, text string) {
	for {
		err := s.Deliver(t.Context(), alice(), &Delivery{Content: message(text)})
		if err == nil {
			return
		}
		if !passing(err) {
			t.Error(err)
			return
		}
	}
}

// passing says that an error comes of the removals and is over in a moment.
func passing(err error) bool {
	for _, e := range []error{ErrNotFound, ErrGone, ErrBusy, fs.ErrNotExist} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// lookAll is a session that only looks. One whose mailbox was made anew opens
// it again.
func lookAll(t *testing.T, s *Store, done <-chan struct{}) {
	u := openUser(t, s)
	defer u.Close()
	var v *View
	var err error
	for round := 0; ; round++ {
		if v == nil {
			if v, err = u.Open(t.Context(), "INBOX", true); passing(err) {
				continue
			} else if err != nil {
				t.Error(err)
				return
			}
		}
		_, err = v.Update(t.Context(), round%3 == 0)
		if err == nil {
			ask(v)
		} else if !passing(err) {
			t.Error(err)
		}
		select {
		case <-done:
			check(t, v.Close())
			return
		case <-v.Changed():
		case <-time.After(time.Millisecond):
		}
		if errors.Is(err, ErrGone) {
			check(t, v.Close())
			v = nil
		}
	}
}

// ask asks all that costs no file.
func ask(v *View) {
	v.Info()
	var seqs []uint32
	for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
		v.Message(seq)
		v.Seq(v.UID(seq))
		v.SeqAtLeast(v.UID(seq) + 1)
		seqs = append(seqs, seq)
	}
	v.AnyExpunged(seqs)
}

// takeAndExpunge is a session that changes what the others look at.
func takeAndExpunge(t *testing.T, s *Store, rounds int) {
	u := openUser(t, s)
	defer u.Close()
	for range rounds {
		v, err := u.Open(t.Context(), "INBOX", false)
		if passing(err) {
			continue
		}
		check(t, err)
		_, err = v.SetFlags(t.Context(), []uint32{2}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
		if err == nil {
			err = v.Expunge(t.Context(), []uint32{1})
		}
		if err != nil && !passing(err) {
			t.Error(err)
		}
		check(t, v.Close())
	}
}
