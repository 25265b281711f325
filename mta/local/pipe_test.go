package local

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

// TestAPipeHasAReader: mail for a named pipe waits until somebody reads it, and all of it gets there, however slow the reader is.
func TestAPipeHasAReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path := dir; path != "/"; path = filepath.Dir(path) { // nobody goes in
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&1 == 0 {
			err = os.Chmod(path, info.Mode().Perm()|0o011)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(name, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	a := made(t, vfs.OS{}, &queued{}, "", func(p *configs.Local) {
		p.AliasMaps = []string{fmt.Sprintf("inline:{box=%s}", name)}
	})
	r := request("box@here.test")
	if got := deliver(t, r, a); len(got) != 1 || got[0].Err == nil || !got[0].Err.Temporary() {
		t.Errorf("nobody reads a short message: %+v", got)
	}
	r.Content = envelope.Memory("Subject: x\n\n" + strings.Repeat("a line\n", 100_000)) // a pipe holds 64 KiB
	if got := deliver(t, r, a); len(got) != 1 || got[0].Err == nil || !got[0].Err.Temporary() {
		t.Errorf("nobody reads a long message: %+v", got)
	}
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	read := make(chan string, 1)
	go func() {
		b, err := io.ReadAll(reader)
		for err == nil && len(b) == 0 { // the writer is not there yet
			b, err = io.ReadAll(reader)
		}
		read <- string(b)
	}()
	if got := deliver(t, r, a); len(got) != 1 || got[0].Err != nil {
		t.Fatalf("somebody reads: %+v", got)
	}
	if all := <-read; strings.Count(all, "a line\n") != 100_000 {
		t.Errorf("%d octets were read", len(all))
	}
}
