package mailstore

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/peers"
)

// doveadm is Dovecot's own view of a Maildir. It refuses to be root, so the
// tree changes hands between it and us.
type doveadm struct {
	t             *testing.T
	program, conf string
	home          string
}

const nobody = 65534

func newDoveadm(t *testing.T, more ...string) *doveadm {
	t.Helper()
	peers.NeedRoot(t, "Dovecot's mail user is another than ours")
	dir := peers.TempDir(t)
	quota := "1M"
	if len(more) > 0 {
		quota = "1G"
	}
	d := &doveadm{t: t, program: peers.Need(t, "doveadm", "dovecot-core"), conf: filepath.Join(dir, "dovecot.conf"), home: filepath.Join(dir, "mail", alice().Home)}
	conf := fmt.Sprintf(`protocols =
base_dir = %[1]s/run
log_path = /dev/stderr
mail_location = maildir:%[2]s
mail_uid = %[3]d
mail_gid = %[3]d
first_valid_uid = 1
first_valid_gid = 1
mail_plugins = quota zlib
namespace inbox {
  inbox = yes
  separator = /
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=%[4]s
}
plugin {
%[5]s
}
`, dir, d.home, nobody, quota, strings.Join(more, "\n"))
	check(t, os.WriteFile(d.conf, []byte(conf), 0o644))
	check(t, os.MkdirAll(d.home, 0o700))
	return d
}

func (d *doveadm) root() string {
	return strings.TrimSuffix(d.home, "/"+alice().Home)
}

// run gives the tree to Dovecot, runs a command, and takes it back.
func (d *doveadm) run(stdin string, args ...string) string {
	d.t.Helper()
	d.own(nobody)
	defer d.own(os.Getuid())
	cmd := exec.CommandContext(d.t.Context(), d.program, append([]string{"-c", d.conf}, args...)...)
	cmd.Env = []string{"USER=alice", "HOME=" + d.home, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = d.root()
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.Contains(stderr.String(), "Error") || strings.Contains(stderr.String(), "Warning") {
		d.t.Fatalf("doveadm %v: %v\n%s%s", args, err, out, stderr.String())
	}
	return string(out)
}

func (d *doveadm) own(uid int) {
	d.t.Helper()
	check(d.t, filepath.WalkDir(d.root(), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	}))
}

// look is what Dovecot shows of a mailbox, one message a line.
func (d *doveadm) look(mailbox string) string {
	d.t.Helper()
	out := d.run("", "-f", "tab", "fetch", "uid flags size.virtual hdr.subject", "mailbox", mailbox, "all")
	_, rows, _ := strings.Cut(out, "\n")
	return rows
}

// ours is the same from us.
func ours(t *testing.T, u *User, mailbox string) string {
	t.Helper()
	v, err := u.Open(t.Context(), mailbox, true)
	check(t, err)
	var b strings.Builder
	for seq := uint32(1); seq <= uint32(v.Len()); seq++ {
		m := v.Message(seq)
		var flags []string
		for _, f := range m.Flags {
			flags = append(flags, string(f))
		}
		subject, err := subjectOf(v, seq)
		check(t, err)
		fmt.Fprintf(&b, "%d\t%s\t%d\t%s\n", m.UID, strings.Join(flags, " "), m.Size, subject)
	}
	check(t, v.Close())
	return b.String()
}

// dovecotFlags sorts flags as Dovecot prints them, without \Recent.
func dovecotFlags(rows string) string {
	return strings.NewReplacer(` \Recent`, "", `\Recent`, "").Replace(rows)
}

// TestThereAndBackWithDovecot takes a mailbox of Dovecot's over, uses it, and
// gives it back. Every UID, flag, keyword and subscription stays.
func TestThereAndBackWithDovecot(t *testing.T) {
	t.Parallel()
	d := newDoveadm(t)
	for i := range 5 {
		d.run(fmt.Sprintf("From: a@b\nSubject: d%d\n\nhello\n", i), "save")
	}
	d.run("", "mailbox", "create", "-s", "Entwürfe", "Junk", "a/b")
	d.run("", "expunge", "mailbox", "INBOX", "uid", "2")
	d.run("", "flags", "add", `\Seen work $Forwarded`, "mailbox", "INBOX", "uid", "3")
	d.run("", "flags", "add", `\Flagged`, "mailbox", "INBOX", "uid", "4")
	d.run("", "move", "Junk", "mailbox", "INBOX", "uid", "5")
	validity := d.run("", "-f", "flow", "mailbox", "status", "uidvalidity uidnext", "INBOX", "Junk", "Entwürfe")

	check(t, os.Mkdir(filepath.Join(d.root(), Private), 0o700)) // on purpose
	s := openStore(t, d.root())
	limited := alice()
	limited.QuotaBytes = 1 << 20
	u, err := s.User(t.Context(), limited)
	check(t, err)
	if got, want := names(t, u), "INBOX Entwürfe* Junk*\\Junk a!+ a/b*"; got != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
	for _, mailbox := range []string{"INBOX", "Junk"} {
		if got, want := ours(t, u, mailbox), dovecotFlags(d.look(mailbox)); got != want {
			t.Errorf("%s: have\n%swant\n%s", mailbox, got, want)
		}
		st, err := u.Status(t.Context(), mailbox)
		check(t, err)
		if want := fmt.Sprintf("%s uidnext=%d uidvalidity=%d\n", mailbox, st.UIDNext, st.UIDValidity); !strings.Contains(validity, want) {
			t.Errorf("%snot in\n%s", want, validity)
		}
	}
	useMailbox(t, s, u, limited)
	before := map[string]string{"INBOX": ours(t, u, "INBOX"), "Junk": ours(t, u, "Junk"), "Entwürfe": ours(t, u, "Entwürfe")}
	used, err := s.Usage(t.Context(), limited)
	check(t, err)
	check(t, u.Close())
	check(t, s.Close())

	for mailbox, want := range before {
		if got := dovecotFlags(d.look(mailbox)); got != want {
			t.Errorf("%s: Dovecot sees\n%swant\n%s", mailbox, got, want)
		}
	}
	after := d.run("", "-f", "flow", "mailbox", "status", "uidvalidity", "INBOX", "Junk", "Entwürfe")
	for line := range strings.Lines(after) {
		_, number, _ := strings.Cut(line, "uidvalidity=")
		if !strings.Contains(validity, "uidvalidity="+number) {
			t.Errorf("%s was\n%s", line, validity)
		}
	}
	if got := d.run("", "-f", "flow", "mailbox", "list", "-s"); !strings.Contains(got, "Neu/Ordner") || !strings.Contains(got, "Entwürfe") {
		t.Errorf("subscriptions %s", got)
	}
	if size, _ := os.ReadFile(filepath.Join(d.home, "maildirsize")); !strings.HasPrefix(string(size), "1048576S\n") {
		t.Errorf("Dovecot wrote maildirsize anew: %q", size)
	}
	if used.Messages != 8 {
		t.Errorf("%+v", used)
	}
	d.run("From: a@b\nSubject: back\n\nhello\n", "save")
	s = openStore(t, d.root())
	u = openUser(t, s)
	if got, want := ours(t, u, "INBOX"), dovecotFlags(d.look("INBOX")); got != want || !strings.Contains(got, "\tback\n") {
		t.Errorf("have\n%swant\n%s", got, want)
	}
	check(t, u.Close())
	check(t, s.Close())
}

func useMailbox(t *testing.T, s *Store, u *User, a Account) {
	t.Helper()
	for i := range 3 {
		check(t, s.Deliver(t.Context(), a, &Delivery{Content: message(fmt.Sprint("t", i))}))
	}
	v := openView(t, u, "INBOX")
	_, err := v.SetFlags(t.Context(), []uint32{1, uint32(v.Len())}, FlagsAdd, []imap.Flag{imap.FlagAnswered, "ours"}, 0)
	check(t, err)
	_, _, err = v.Move(t.Context(), []uint32{2}, "Junk")
	check(t, err)
	_, _, err = v.Copy(t.Context(), []uint32{3}, "Entwürfe")
	check(t, err)
	check(t, v.Close())
	check(t, u.Create(t.Context(), "Neu/Ordner", ""))
	check(t, u.Subscribe(t.Context(), "Neu/Ordner", true))
}
