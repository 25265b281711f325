package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/testkit/peers"
)

func (b *box) mailbox(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return b.Run(testContext(t), "", append([]string{"mailbox"}, args...)...)
}

// TestTransferAndDovecot: what Dovecot wrote comes in with everything, and Dovecot reads
// what went out, as a Maildir with its UIDs and as an mbox.
func TestTransferAndDovecot(t *testing.T) {
	t.Parallel()
	peers.Need(t, "dovecot", "dovecot-imapd")
	peers.NeedRoot(t, "Dovecot's master changes users")
	b := serve(t, nil)
	const carol = "carol@example.test"
	dir := peers.TempDir(t)
	d, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{Dir: dir, Conf: "mail_plugins = zlib\nplugin {\n  zlib_save = gz\n}\n", Accounts: []peers.Account{
		{Address: alice, Password: alicesWord}, {Address: bob, Password: bobsWord}, {Address: carol, Password: bobsWord},
	}})
	must(t, err)
	defer d.Stop()
	c := dialIMAP(t, d.IMAP())
	c.command(t, "LOGIN "+alice+" "+alicesWord)
	c.appendTo(t, "INBOX", `\Seen \Answered`, "one")
	c.appendTo(t, "INBOX", `\Flagged work $Label1`, "two")
	c.command(t, "CREATE Deep.Er")
	c.appendTo(t, "Deep.Er", `\Draft later`, "three")
	c.command(t, `CREATE "Entw&APw-rfe"`)
	c.appendTo(t, `"Entw&APw-rfe"`, `\Deleted work`, "four")
	c.command(t, "SUBSCRIBE Deep.Er")
	c.command(t, "LOGOUT")
	out, err := b.mailbox(t, "import", alice, d.Maildir(alice))
	if err != nil || !strings.Contains(out, "4 messages of "+alice+" imported") {
		t.Fatalf("%v %s", err, out)
	}
	want := map[string]string{
		"INBOX": `one(\Answered \Seen) two(\Flagged $Label1 work)`, "Deep/Er": `three(\Draft later)`, `"Entw&APw-rfe"`: `four(\Deleted work)`,
	}
	same := func(what string, c *imapConn, separator string) {
		t.Helper()
		for name, flags := range want {
			name = strings.ReplaceAll(name, "/", separator)
			if got := sortFlags(c.seen(t, name)); got != sortFlags(flags) {
				t.Errorf("%s, %s: %s, want %s", what, name, got, flags)
			}
		}
	}
	ours := dialIMAP(t, b.IMAP())
	ours.command(t, "LOGIN "+alice+" "+alicesWord)
	same("from Dovecot", ours, "/")
	if list := string(ours.command(t, `LSUB "" "*"`)); !strings.Contains(list, "Deep/Er") || strings.Contains(list, "Entw") {
		t.Errorf("subscriptions: %s", list)
	}
	// Out, and moved to another account of Dovecot, whose folders are not root's.
	to := d.Maildir(bob)
	tree, file := filepath.Join(dir, "out"), filepath.Join(dir, "out.mbox")
	for _, path := range []string{tree, file} {
		if out, err := b.mailbox(t, "export", alice, path); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	uid, gid, err := d.MailUser()
	must(t, err)
	giveAway(t, tree, uid, gid)
	must(t, os.Rename(tree, to))
	theirs := dialIMAP(t, d.IMAP())
	theirs.command(t, "LOGIN "+bob+" "+bobsWord)
	same("to Dovecot", theirs, ".")
	for name := range want {
		ask := "STATUS %s (UIDNEXT UIDVALIDITY)"
		_, mine, _ := strings.Cut(string(ours.command(t, fmt.Sprintf(ask, name))), "(")
		_, his, _ := strings.Cut(string(theirs.command(t, fmt.Sprintf(ask, strings.ReplaceAll(name, "/", ".")))), "(")
		if mine != his {
			t.Errorf("%s is %q for Dovecot, and %q here", name, his, mine)
		}
	}
	// And as an mbox.
	giveAway(t, file, uid, gid)
	must(t, os.Rename(file, filepath.Join(filepath.Dir(to), "x.mbox")))
	file = filepath.Join(filepath.Dir(to), "x.mbox")
	client(t, dir, "", "doveadm", "-c", filepath.Join(dir, "dovecot.conf"), "import", "-u", carol, "mbox:"+filepath.Dir(to)+"/none:INBOX="+file, "", "ALL")
	theirs = dialIMAP(t, d.IMAP())
	theirs.command(t, "LOGIN "+carol+" "+bobsWord)
	got := sortFlags(theirs.seen(t, "INBOX"))
	if all := sortFlags(`four(\Deleted work) one(\Answered \Seen) three(\Draft later) two(\Flagged $Label1 work)`); got != all {
		t.Errorf("an mbox is for Dovecot %s, want %s", got, all)
	}
}

func giveAway(t *testing.T, path string, uid, gid int) {
	t.Helper()
	must(t, filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	}))
}

// TestTransferAndMutt: mutt writes an export anew, with fields of its own; they count, and
// are not the messages'.
func TestTransferAndMutt(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	c := dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+alice+" "+alicesWord)
	for _, text := range []string{"Subject: one\r\nStatus: D\r\n\r\nText of one.\r\nFrom x\r\n", "Subject: two\r\n\r\nText of two.\r\n\r\nFrom a@example.net Thu Nov 26 10:00:00 2026\r\n\r\n>From y\r\n"} {
		c.command(t, fmt.Sprintf("APPEND INBOX (work) \"01-Feb-2023 04:05:06 +0000\" {%d+}\r\n%s", len(text), text))
	}
	dir := t.TempDir()
	if out, err := b.mailbox(t, "export", alice, filepath.Join(dir, "x.mbox")); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	must(t, os.WriteFile(filepath.Join(dir, "rc"), []byte("set folder=.\nset quit=yes\nset move=no\nset mark_old=no\n"), 0o600))
	before := readFile(t, filepath.Join(dir, "x.mbox"))
	client(t, dir, "", "script", "-qec", `TERM=xterm mutt -n -F rc -f x.mbox -e 'push "<last-entry><flag-message><sync-mailbox><quit>"'`, "/dev/null")
	if readFile(t, filepath.Join(dir, "x.mbox")) == before {
		t.Fatal("mutt has changed nothing")
	}
	if out, err := b.mailbox(t, "import", bob, filepath.Join(dir, "x.mbox")); err != nil || !strings.Contains(out, "2 messages") {
		t.Fatalf("%v %s\n%s", err, out, readFile(t, filepath.Join(dir, "x.mbox")))
	}
	c = dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+bob+" "+bobsWord)
	if got := sortFlags(c.seen(t, "INBOX")); !strings.Contains(got, `two(\Flagged work)`) || !strings.Contains(got, "work") {
		t.Errorf("%s", got)
	}
	for _, path := range b.mail(t, bob, "") {
		text := readFile(t, path)
		if strings.Contains(text, "Content-Length") || strings.Contains(text, "X-Status") || strings.Contains(text, "X-Toastmaster") || strings.Contains(text, ">>From") {
			t.Errorf("%q", text)
		}
	}
}

// TestTransferOfHostileFiles: nothing but plain files of the source is read, a damaged one
// is named and the others come in, and nothing is written beside the target.
func TestTransferOfHostileFiles(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"store.max_folder_name": "100"})
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	secret := filepath.Join(dir, "secret")
	must(t, os.WriteFile(secret, []byte("Subject: secret\n\nsecret\n"), 0o600))
	must(t, os.MkdirAll(filepath.Join(dir, "other", "cur"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "other", "cur", "1.x:2,"), []byte("Subject: secret\n\nsecret\n"), 0o600))
	for _, folder := range []string{"", ".Good", ".&bad", "..", ".A..B", "." + strings.Repeat("x", 150), ".INBOX", ".a~b", "sub/below"} {
		if folder != ".." {
			must(t, os.MkdirAll(filepath.Join(from, folder, "cur"), 0o700))
			must(t, os.WriteFile(filepath.Join(from, folder, "cur", "1700000000.x"), []byte("Subject: good\n\n"+folder+"\n"), 0o600))
		}
	}
	cur := filepath.Join(from, "cur")
	must(t, os.Symlink(secret, filepath.Join(cur, "1700000001.link:2,S")))
	must(t, os.Symlink(filepath.Join(dir, "other"), filepath.Join(from, ".Linked")))
	must(t, os.Symlink(filepath.Join(dir, "other", "cur"), filepath.Join(from, "new")))
	must(t, os.Symlink(secret, filepath.Join(from, ".Good", "dovecot-keywords")))
	must(t, syscall.Mkfifo(filepath.Join(cur, "1700000002.fifo:2,"), 0o600))
	must(t, os.WriteFile(filepath.Join(cur, "1700000003.empty:2,"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(cur, "1700000004.odd:1,S"), []byte("Subject: odd\n\nodd\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(cur, "1700000005.gz,S=100:2,Z"), []byte("\x1f\x8b\x08\x00damaged"), 0o600))
	out, err := b.mailbox(t, "import", alice, from)
	if err == nil {
		t.Fatalf("it ends well: %s", out)
	}
	for _, name := range []string{"1700000001.link:2,S: it is no plain file", "1700000002.fifo:2,: it is no plain file", "1700000003.empty:2,: it is empty", "1700000005.gz", "new: it is no plain file",
		strings.Repeat("x", 150), "exit status 1"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not in %v", name, err)
		}
	}
	texts := ""
	n := 0
	must(t, filepath.WalkDir(b.Maildir(alice), func(path string, d os.DirEntry, err error) error {
		if sub := filepath.Base(filepath.Dir(path)); err == nil && !d.IsDir() && (sub == "cur" || sub == "new") {
			texts += readFile(t, path)
			n++
		}
		return err
	}))
	if strings.Contains(texts, "secret") || n != 8 || !strings.Contains(texts, "odd") {
		t.Errorf("%d messages: %q", n, texts)
	}
	// The source itself, or a folder above it, is another user's link.
	must(t, os.Symlink(dir, filepath.Join(dir, "led")))
	must(t, os.Lchown(filepath.Join(dir, "led"), 65534, 65534))
	for _, path := range []string{"led/from", "led/in.mbox"} {
		if out, err := b.mailbox(t, "import", bob, filepath.Join(dir, path)); err == nil || !strings.Contains(err.Error(), "led is a symbolic link of user 65534") {
			t.Errorf("%s: %v %s", path, err, out)
		}
	}
	// Out, into what others have prepared.
	to := filepath.Join(dir, "to")
	if out, err := b.mailbox(t, "export", alice, to); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	must(t, os.RemoveAll(filepath.Join(to, ".Good")))
	must(t, os.Symlink(filepath.Join(dir, "other"), filepath.Join(to, ".Good")))
	if out, err := b.mailbox(t, "export", alice, to); err == nil || !strings.Contains(err.Error(), "another user could change") {
		t.Errorf("into a link: %v %s", err, out)
	}
	for what, prepare := range map[string]func(path string) error{
		"another user could change": func(path string) error {
			return os.Symlink(to, path)
		},
		"it belongs to user 65534": func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.Chown(path, 65534, 65534)
		},
		"its mode is": func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.Chmod(path, 0o777)
		},
		"no export made it": func(path string) error {
			return os.MkdirAll(filepath.Join(path, "cur"), 0o700)
		},
	} {
		path := filepath.Join(dir, strings.Fields(what)[1])
		must(t, prepare(path))
		if out, err := b.mailbox(t, "export", alice, path); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v %s", what, err, out)
		}
	}
	for what, prepare := range map[string]func(path string) error{
		"parent of another user": func(path string) error { return os.Chown(path, 65534, 65534) },
		"parent 0777":            func(path string) error { return os.Chmod(path, 0o777) },
	} {
		parent := filepath.Join(dir, what)
		must(t, os.Mkdir(parent, 0o700))
		must(t, prepare(parent))
		for _, name := range []string{"tree", "x.mbox"} {
			out, err := b.mailbox(t, "export", alice, filepath.Join(parent, name))
			if err == nil || !strings.Contains(err.Error(), parent+": another user could change") || !strings.Contains(err.Error(), "move it afterwards") {
				t.Errorf("%s: %v %s", what, err, out)
			}
		}
		if entries, err := os.ReadDir(parent); err != nil || len(entries) != 0 {
			t.Errorf("%s: %v %v", what, entries, err)
		}
	}
	if out, err := b.mailbox(t, "export", bob, to); err == nil || !strings.Contains(err.Error(), "has the mail of "+alice) {
		t.Errorf("another's: %v %s", err, out)
	}
	if out, err := b.mailbox(t, "export", alice, secret, "--format", "mbox"); err == nil || !strings.Contains(err.Error(), "is no export of") || readFile(t, secret) != "Subject: secret\n\nsecret\n" {
		t.Errorf("an existing file: %v %s", err, out)
	}
}

// TestTransferOptions: the quota, a client that waits, --into, --folder, --since, --json.
func TestTransferOptions(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "x.mbox")
	text := ""
	for i := range 20 {
		text += fmt.Sprintf("From a@example.net Thu Nov %02d 10:00:00 2026\nSubject: %d\n\n%s\n\n", i+1, i, strings.Repeat("x", 1000))
	}
	must(t, os.WriteFile(file, []byte("garbage\n"+text), 0o600))
	_, err := b.Run(ctx, "", "mailbox", "set", bob, "--quota", "10K")
	must(t, err)
	out, err := b.mailbox(t, "import", bob, file)
	if err == nil || !strings.Contains(err.Error(), "--over-quota") || len(b.mail(t, bob, "")) != 10 {
		t.Errorf("%d messages, %v %s", len(b.mail(t, bob, "")), err, out)
	}
	out, err = b.mailbox(t, "import", bob, file, "--over-quota")
	if err == nil || !strings.Contains(err.Error(), "octets 0 to 7") || len(b.mail(t, bob, "")) != 20 {
		t.Errorf("%d messages, %v %s", len(b.mail(t, bob, "")), err, out)
	}
	must(t, os.WriteFile(file, []byte(text), 0o600))
	idle := converse(t, b.IMAP())
	idle.say(t, fmt.Sprintf("a LOGIN %s %s\r\nb CREATE Old/Mail\r\nc SELECT Old/Mail\r\nd IDLE\r\n", alice, alicesWord), "+ ")
	out, err = b.mailbox(t, "import", alice, file, "--into", "Old/Mail", "--json")
	var r struct {
		Done, There int
		Failed      []any
		Folders     []struct{ Folder string }
	}
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || r.Done != 20 || r.There != 0 || len(r.Failed) != 0 || len(r.Folders) != 1 || r.Folders[0].Folder != "Old/Mail" {
		t.Errorf("%v %s", err, out)
	}
	idle.say(t, "", "* 20 EXISTS")
	for name, args := range map[string][]string{"--since": {"--since", "2026-11-16T00:00:00Z"}, "--folder": {"--folder", "Old/Mail"}} {
		out, err := b.mailbox(t, append([]string{"export", alice, "-"}, args...)...)
		want := map[string]int{"--since": 5, "--folder": 20}[name]
		if n := strings.Count(out, "\nX-Toastmaster-Export: "); err != nil || n != want {
			t.Errorf("%s: %d messages, %v", name, n, err)
		}
	}
	for what, args := range map[string][]string{
		"no such folder": {"export", alice, "-", "--folder", "None"}, "exit status 2": {"export", alice, "-", "--json"}, "no such mailbox": {"import", "none@example.test", file},
		"no mbox": {"import", alice, b.ConfigFile()}, "is no Maildir": {"import", alice, "/proc/self/fdinfo"}, "must be one of": {"import", alice, file, "--format", "zip"},
	} {
		if out, err := b.mailbox(t, args...); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	must(t, b.Stop())
	if out, err := b.mailbox(t, "export", alice, filepath.Join(dir, "y")); err == nil || !strings.Contains(err.Error(), "no instance runs") {
		t.Errorf("%v %s", err, out)
	}
	b.start(t)
}
