package imapd

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/transcript"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/storetest"
)

// nested is a message in a message in a message.
const nested = "From: a@example.org\nSubject: outer\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/plain\n\nfirst\n--o\n" +
	"Content-Type: message/rfc822\n\nSubject: middle\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=m\n\n--m\nContent-Type: text/plain\n\nplain\n--m\n" +
	"Content-Type: message/rfc822\n\nSubject: deep\n\ndeepest\n--m--\n--o--\n"

// hostsOfDialogues are what the servers of some dialogues have that others do not.
var hostsOfDialogues = map[string]func(h *host){
	"refusals": func(h *host) { h.config.Store.MaxKeywords = 26 },
	"budgets": func(h *host) {
		c := &h.config.IMAPD
		c.MaxSearchKeys, c.MaxSearchTests, c.MaxSearch, c.MaxListPatterns, c.MaxFetchItems = 10, 100, 10, 2, 8
	},
	"namespaces":     func(h *host) { h.shared = true },
	"login_failures": func(h *host) { h.config.IMAPD.MaxLoginFailures = 3 },
	"little_room":    func(h *host) { h.config.Store.MinFree = 1 << 60 },
	"full_disk":      func(h *host) { h.fs = faultfs.Wrap(vfs.OS{}) },
	"bad_disk":       func(h *host) { h.fs = faultfs.Wrap(vfs.OS{}) },
	"unreadable":     func(h *host) { h.fs = faultfs.Wrap(vfs.OS{}) },
	"quota": func(h *host) {
		h.started = func(s *Server) {
			authenticate := s.gate.Authenticate
			s.gate.Authenticate = func(ctx context.Context, a password.Attempt) (directory.Mailbox, error) {
				box, err := authenticate(ctx, a)
				box.QuotaBytes = 1000
				return box, err
			}
		}
	},
}

// afterwards is what happens to the hosts of some dialogues when alice has her messages.
var afterwards = map[string]func(t *testing.T, h *host){
	"parts":      func(_ *testing.T, h *host) { h.deliver("alice", nested) },
	"namespaces": func(_ *testing.T, h *host) { h.share() },
	"full_disk": func(_ *testing.T, h *host) {
		h.fs.(*faultfs.Faults).Hook(func(op faultfs.Op, name string) error {
			if (op == faultfs.Write || op == faultfs.Create) && strings.Contains(name, "alice") {
				return unix.ENOSPC
			}
			return nil
		})
	},
	"bad_disk": func(_ *testing.T, h *host) {
		h.fs.(*faultfs.Faults).Hook(func(_ faultfs.Op, name string) error {
			if strings.Contains(name, "Broken") {
				return unix.EIO
			}
			return nil
		})
	},
	// The file of the second message cannot be opened.
	"unreadable": func(t *testing.T, h *host) {
		home := filepath.Join(h.root, storetest.Account(t, "alice").Home)
		files, err := filepath.Glob(filepath.Join(home, "new", "*"))
		files = slices.DeleteFunc(files, func(name string) bool {
			text, err := os.ReadFile(name)
			return err != nil || string(text) != mixed
		})
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		_, file := filepath.Split(files[0])
		unique, _, _ := strings.Cut(file, ",")
		h.fs.(*faultfs.Faults).Hook(func(op faultfs.Op, name string) error {
			if op == faultfs.Open && strings.Contains(name, unique) {
				return unix.EACCES
			}
			return nil
		})
	},
}

// TestDialogues runs testdata/dialogues. Each has a server of its own, on
// which alice has three messages. A name that ends in "_outside" gets a server
// for which loopback is not secure, one in "_limited" gets one with low limits. ${early}
// is what is told before the log-in, which start.txt has in full.
func TestDialogues(t *testing.T) {
	t.Parallel()
	transcript.RunDir(t, filepath.Join("testdata", "dialogues"), transcript.Options{
		TLS:  &tls.Config{InsecureSkipVerify: true},
		Vars: map[string]string{"early": join(capabilities(table()), func(c capability) bool { return c.early })},
		Host: func(t *testing.T, name string) func() net.Conn {
			h := hostOfDialogue(t, name)
			return func() net.Conn { return h.Dial(0) }
		},
	})
}

func hostOfDialogue(t *testing.T, name string) *host {
	t.Helper()
	h := newHost(t, func(h *host) {
		h.outside = strings.HasSuffix(name, "_outside")
		h.config.IMAPD.MaxMessage = 2000
		h.config.IMAPD.MaxLiteral = 1000
		h.config.IMAPD.MaxDiscard = 100000
		h.config.IMAPD.MaxBadCommands = 10
		if strings.HasSuffix(name, "_limited") {
			h.config.Store.MaxFolders, h.config.Store.MaxFolderDepth, h.config.Store.MaxSubscriptions = 7, 2, 5
		}
		if change := hostsOfDialogues[name]; change != nil {
			change(h)
		}
	})
	h.deliver("alice", plain, mixed, eightBit)
	if then := afterwards[name]; then != nil {
		then(t, h)
	}
	return h
}
