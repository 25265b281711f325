package storetest_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"toastmaster/mailstore/index"
)

// mailOfBefore puts alice's account as a program left it whose records knew no header
// fields, and more mail of another program, which has no records at all.
func mailOfBefore(t *testing.T, root string, more int) (home string) {
	t.Helper()
	startWorker(t, root, nil).stop(t) // makes the store
	home = filepath.Join(root, "example.test/alice")
	file, err := os.Open("../box/testdata/golden/account-record2.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(home, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(name, 0o700)
		} else {
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(name, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range more {
		name := filepath.Join(home, "cur", fmt.Sprintf("1800000000.M%06dP1.other:2,S", i))
		if err := os.WriteFile(name, fmt.Appendf(nil, "From: a%d@example.test\nSubject: Re: number %d\nDate: Thu, 26 Nov 2026 23:30:00 -0800\nX-Mailer: x\n\nbody\n", i, i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// TestTwoProcessesFillRecords of one mailbox at once, and one of them is killed in the
// middle: no UID, flag or keyword changes, and the records are those that one process
// alone makes.
func TestTwoProcessesFillRecords(t *testing.T) {
	t.Parallel()
	const more = 150
	records := order{Do: "records", Name: "INBOX"}
	var want answer
	var told []stored
	for round := range 6 {
		root := t.TempDir()
		home := mailOfBefore(t, root, more)
		a, b := startWorker(t, root, nil), startWorker(t, root, nil)
		before := a.do(t, order{Do: "messages", Name: "INBOX"}).Messages
		if round == 0 {
			told, want = before, a.do(t, records)
			if len(want.Records) != more+6 || slices.Contains(want.Records, "") {
				t.Fatalf("%d records", len(want.Records))
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = a.try(records) // it may be killed
		}()
		other := make(chan answer, 1)
		go func() { other <- b.do(t, records) }()
		if round > 0 {
			killWhenLarge(a, filepath.Join(home, index.CacheFile), int64(round)*6000, done)
		}
		<-done
		if got := <-other; !slices.Equal(got.Records, want.Records) {
			t.Errorf("round %d: the process that went on has other records", round)
		}
		c := startWorker(t, root, nil)
		if got := c.do(t, records); !slices.Equal(got.Records, want.Records) {
			t.Errorf("round %d: a new process has other records", round)
		}
		for _, w := range []*worker{b, c} {
			now := w.do(t, order{Do: "messages", Name: "INBOX"}).Messages
			if !slices.EqualFunc(now, told, func(x, y stored) bool {
				return x.UID == y.UID && x.Subject == y.Subject && slices.Equal(x.Flags, y.Flags)
			}) {
				t.Errorf("round %d: %v\nwant %v", round, now, told)
			}
			w.stop(t)
		}
		if round == 0 {
			a.stop(t)
		}
	}
}

// killWhenLarge kills a worker as soon as a file has a size, unless it is done before.
func killWhenLarge(w *worker, file string, size int64, done <-chan struct{}) {
	for {
		select {
		case <-done:
			w.kill()
			return
		default:
		}
		if info, err := os.Stat(file); err == nil && info.Size() >= size {
			w.kill()
			return
		}
	}
}
