package pop3d

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/transcript"
	"toastmaster/internal/vfs"
)

// TestDialogues runs testdata/dialogues. Each has a server of its own, on
// which alice has three messages. A name that ends in "_outside" gets a server
// for which loopback is not secure.
func TestDialogues(t *testing.T) {
	t.Parallel()
	transcript.RunDir(t, filepath.Join("testdata", "dialogues"), transcript.Options{
		TLS: &tls.Config{InsecureSkipVerify: true},
		Host: func(t *testing.T, name string) func() net.Conn {
			faults := faultfs.Wrap(vfs.OS{})
			h := newHostOn(t, faults, func(h *host) {
				if strings.HasSuffix(name, "_outside") {
					h.gate.SecureNetworks = nil
				}
				h.config.POP3D.MaxBadCommands = 5
			})
			h.deliver("alice", first, second, third)
			faults.Hook(diskOf(name))
			t.Cleanup(func() { faults.Hook(nil) }) // before the store is closed
			return func() net.Conn { return h.Dial(0) }
		},
	})
}

// diskOf is how the disk of a dialogue fails.
func diskOf(name string) func(op faultfs.Op, name string) error {
	fails := func(op faultfs.Op, part string, err error) func(faultfs.Op, string) error {
		return func(o faultfs.Op, name string) error {
			if o == op && strings.Contains(name, part) {
				return err
			}
			return nil
		}
	}
	switch name {
	case "unreadable":
		return fails(faultfs.Open, "alice/new/", unix.EIO)
	case "no_maildrop":
		return func(_ faultfs.Op, name string) error {
			if strings.Contains(name, "carol/") {
				return unix.EIO
			}
			return nil
		}
	case "no_uidls":
		return fails(faultfs.Stat, "dovecot-uidlist", unix.EIO)
	}
	return nil
}
