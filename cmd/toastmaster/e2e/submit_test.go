package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"toastmaster/internal/maildrop"
	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
)

// nobodyUser is a user of this host who is not the service's.
var nobodyUser = &syscall.Credential{Uid: 65534, Gid: 65534}

// serveLocal is an instance whose pickup.directory every user may enter, and sendmail of nobody's.
func serveLocal(t *testing.T, params map[string]string) (*box, sendmail, string) {
	t.Helper()
	peers.NeedRoot(t, "another user's sendmail")
	public := filepath.Join(peers.TempDir(t), "public")
	all := map[string]string{"pickup.directory": quoteTOML(public), "pickup.wakeup_time": `"1s"`}
	for name, value := range params {
		all[name] = value
	}
	b := serve(t, all)
	s := newSendmail(t, b)
	must(t, os.Chmod(b.Data(), 0o711))
	must(t, os.Chmod(b.ConfigFile(), 0o644))
	s.user = nobodyUser
	return b, s, public
}

func quoteTOML(s string) string { return fmt.Sprintf("%q", s) }

// sent is sendmail that succeeds.
func (s sendmail) sent(t *testing.T, stdin string, args ...string) {
	t.Helper()
	if code, out, errs := s.run(t, stdin, args...); code != 0 || errs != "" {
		t.Errorf("sendmail %q: exit %d, %s%s", args, code, out, errs)
	}
}

// names are those in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestMailOfThisHost: a user's mail goes by the socket, and by the folder while the service is down; the owner
// is the sender, whatever the message says. When the service comes up it has the mail.
func TestMailOfThisHost(t *testing.T) {
	t.Parallel()
	b, s, public := serveLocal(t, map[string]string{"pickup.local_login_sender_maps": `["inline:{nobody=nobody@mx.example.test, root=*}"]`})
	s.sent(t, "To: x\nSubject: by the socket\n\nhello\n", "-i", alice)
	text := readFile(t, b.waitMail(t, alice, 1)[0])
	for _, want := range []string{"Return-Path: <nobody@mx.example.test>\n", "by mx.example.test (Toastmaster, from userid 65534) id ", "\nFrom: nobody <nobody@mx.example.test>\n", "\nMessage-ID: <", "\nDate: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	eventually(t, func() error {
		if !strings.Contains(b.LogTail(1<<16), "proto=local uid=65534 from=<nobody@mx.example.test>") {
			return errors.New("the log does not say whose it was")
		}
		return nil
	})
	code, _, errs := s.run(t, smallMessage, "-f", bob, alice)
	if code != 77 || errs != "sendmail: fatal: <"+bob+">: Sender address rejected: not owned by user nobody\n" {
		t.Errorf("as somebody else: exit %d, %s", code, errs)
	}

	must(t, b.Stop())
	s.sent(t, "Subject: by the folder\n\nhello\n", alice)
	s.sent(t, "Subject: as somebody else\n\nhello\n", "-f", bob, alice)
	root := s
	root.user = nil
	root.sent(t, "Subject: of root\n\nhello\n", "-f", bob, alice)
	drop := filepath.Join(public, maildrop.Drop)
	if left := names(t, drop); len(left) != 3 {
		t.Errorf("%q", left)
	}
	if ls := (sendmail{"/bin/ls", nil, nobodyUser}); true {
		if code, out, _ := ls.run(t, "", drop); code == 0 {
			t.Errorf("nobody can list the folder: %s", out)
		}
	}
	b.start(t)
	b.waitMail(t, alice, 3)
	eventually(t, func() error {
		if left := append(names(t, drop), names(t, filepath.Join(public, maildrop.Taken))...); len(left) > 0 {
			return fmt.Errorf("%q", left)
		}
		return nil
	})
	all := ""
	for _, file := range b.mail(t, alice, "") {
		all += readFile(t, file)
	}
	if !strings.Contains(all, "from userid 0)") || strings.Contains(all, "as somebody else") || !strings.Contains(all, "Return-Path: <"+bob+">\n") {
		t.Errorf("%s", all)
	}
	eventually(t, func() error {
		if !strings.Contains(b.LogTail(1<<16), "Sender address rejected") || !strings.Contains(b.LogTail(1<<16), "nobody@mx.example.test") {
			return fmt.Errorf("no report to the owner: %s", b.LogTail(4000))
		}
		return nil
	})
}

// TestHostileFolder: what is no message of its owner's is put away, and mail goes on.
func TestHostileFolder(t *testing.T) {
	t.Parallel()
	b, s, public := serveLocal(t, nil)
	must(t, b.Stop())
	drop := filepath.Join(public, maildrop.Drop)
	name := func(n int) string { return filepath.Join(drop, fmt.Sprintf("m%032x", n)) }
	secret := filepath.Join(public, "secret")
	must(t, os.WriteFile(secret, []byte("a secret of root's\n"), 0o600))
	must(t, os.Symlink(secret, name(1)))
	must(t, unix.Mkfifo(name(2), 0o666))
	must(t, os.Link(secret, name(3)))
	must(t, os.Mkdir(name(4), 0o777))
	must(t, os.WriteFile(name(5), []byte("maildrop1 garbage"), 0o640))
	must(t, os.WriteFile(filepath.Join(drop, "another name\n"), nil, 0o640))
	must(t, os.Mkdir(filepath.Join(drop, "folder"), 0o777))
	// A whole message, of nobody, under another name, and one that has two.
	s.sent(t, "Subject: renamed\n\nx\n", alice)
	s.sent(t, "Subject: linked\n\nx\n", alice)
	for _, file := range names(t, drop) {
		path := filepath.Join(drop, file)
		info, err := os.Lstat(path)
		must(t, err)
		if !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(path)
		switch {
		case err != nil:
		case strings.Contains(string(text), "Subject: renamed"):
			must(t, os.Rename(path, name(6)))
		case strings.Contains(string(text), "Subject: linked"):
			must(t, os.Link(path, filepath.Join(public, "other")))
		}
	}
	// One that says that it is huge, and is.
	huge, err := os.Create(name(7))
	must(t, err)
	_, err = huge.WriteString("maildrop1 2 1099511627776 00000000\n{}")
	must(t, err)
	must(t, huge.Truncate(1<<40))
	must(t, huge.Close())
	unreadable := sendmail{"/bin/sh", nil, nobodyUser}
	if code, _, errs := unreadable.run(t, "", "-c", "umask 077; echo x > "+name(8)+"; chgrp nogroup "+name(8)); code != 0 {
		t.Errorf("%s", errs)
	}
	s.sent(t, "Subject: honest\n\nx\n", alice)
	b.start(t)
	text := readFile(t, b.waitMail(t, alice, 1)[0])
	if !strings.Contains(text, "Subject: honest\n") {
		t.Error(text)
	}
	eventually(t, func() error {
		if left := append(names(t, drop), names(t, filepath.Join(public, maildrop.Taken))...); len(left) > 0 {
			return fmt.Errorf("left: %q", left)
		}
		return nil
	})
	if bad := names(t, filepath.Join(public, maildrop.Bad)); len(bad) != 9 { // empty folders are removed
		t.Errorf("%d: %q\n%s", len(bad), bad, b.LogTail(6000))
	}
	if got := readFile(t, secret); got != "a secret of root's\n" || len(b.mail(t, alice, "")) != 1 {
		t.Errorf("%q, %d messages", got, len(b.mail(t, alice, "")))
	}
}

// TestKilledWhilePickingUp: a kill at any moment loses nothing and doubles nothing.
func TestKilledWhilePickingUp(t *testing.T) {
	t.Parallel()
	b, s, _ := serveLocal(t, nil)
	const rounds, each = 5, 30
	for round := range rounds {
		must(t, b.Stop())
		for n := range each {
			s.sent(t, fmt.Sprintf("Subject: %d-%d\n\nx\n", round, n), alice)
		}
		must(t, b.Launch())
		want := round*each + 1 + round*each/rounds
		eventually(t, func() error {
			if n := len(b.mail(t, alice, "")); n < want {
				return fmt.Errorf("%d messages", n)
			}
			return nil
		})
		b.Kill()
		b.start(t)
		b.waitMail(t, alice, (round+1)*each)
	}
	b.queueEmpty(t)
	seen := map[string]bool{}
	for _, file := range b.mail(t, alice, "") {
		for line := range strings.Lines(readFile(t, file)) {
			if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
				if seen[subject] {
					t.Errorf("twice: %s", subject)
				}
				seen[subject] = true
			}
		}
	}
	if len(seen) != rounds*each {
		t.Errorf("%d messages", len(seen))
	}
}

// TestUsersOfThisHost: who may hand in mail, see the queue and have it tried.
func TestUsersOfThisHost(t *testing.T) {
	t.Parallel()
	b, s, _ := serveLocal(t, map[string]string{"pickup.authorized_submit_users": `["!nobody", "static:anyone"]`, "pickup.authorized_flush_users": `["daemon"]`})
	if code, out, errs := s.run(t, "", "-bp"); code != 0 || out != "Mail queue is empty\n" {
		t.Errorf("-bp: exit %d, %s%s", code, out, errs)
	}
	for _, args := range []string{"-q", "-qI3ABC", "-qRexample.org"} {
		if code, _, errs := s.run(t, "", args); code != 69 || !strings.Contains(errs, "User nobody is not allowed to do this") {
			t.Errorf("%s: exit %d, %s", args, code, errs)
		}
	}
	for _, args := range [][]string{{alice}, {"-bv", alice}} {
		if code, _, errs := s.run(t, smallMessage, args...); code != 77 || errs != "sendmail: fatal: User nobody(65534) is not allowed to submit mail\n" {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
	}
	s.user = &syscall.Credential{Uid: 1, Gid: 1}
	s.sent(t, smallMessage, alice)
	s.sent(t, "", "-q")
	b.waitMail(t, alice, 1)
	mailq := newProgram(t, b, "mailq")
	mailq.user = nobodyUser
	if code, out, errs := mailq.run(t, ""); code != 0 || out != "Mail queue is empty\n" {
		t.Errorf("mailq: exit %d, %s%s", code, out, errs)
	}
}

// TestStandaloneSession: -bs is the user's own, and takes mail while the service is down.
func TestStandaloneSession(t *testing.T) {
	t.Parallel()
	b, s, _ := serveLocal(t, map[string]string{"pickup.local_login_sender_maps": `["inline:{nobody=nobody@mx.example.test}"]`})
	talk := func(from string) string {
		code, out, errs := s.run(t, "HELO x\nMAIL FROM:<"+from+">\nRCPT TO:<"+alice+">\nDATA\nSubject: x\n\n..x\n.\nQUIT\n", "-bs")
		if code != 0 || errs != "" {
			t.Errorf("exit %d, %s", code, errs)
		}
		return out
	}
	if out := talk("nobody"); !strings.HasPrefix(out, "220 mx.example.test ESMTP") || !strings.Contains(out, " queued as ") || !strings.Contains(out, "\r\n221 ") {
		t.Error(out)
	}
	if out := talk(bob); !strings.Contains(out, "5.7.1 <"+bob+">: Sender address rejected") {
		t.Error(out)
	}
	b.waitMail(t, alice, 1)
	must(t, b.Stop())
	if out := talk("nobody"); !strings.Contains(out, "250 2.0.0 queued\r\n") {
		t.Error(out)
	}
	b.start(t)
	b.waitMail(t, alice, 2)
}

// TestReportsOfSendmail: -bv delivers nothing and says what would become of the recipients; -v says what became
// of them.
func TestReportsOfSendmail(t *testing.T) {
	t.Parallel()
	b, s, _ := serveLocal(t, nil)
	code, out, errs := s.run(t, "", "-bv", "-f", bob, alice, "nosuch@example.test")
	if code != 0 || out != "Mail Delivery Status Report will be mailed to <"+bob+">.\n" {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	text := readFile(t, b.waitMail(t, bob, 1)[0])
	for _, want := range []string{"Subject: Mail Delivery Status Report\n", "Final-Recipient: rfc822; " + alice + "\nAction: deliverable\nStatus: 2.0.0\n", "Final-Recipient: rfc822; nosuch@example.test\nAction: undeliverable\nStatus: 5.1.1\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if code, _, errs := s.run(t, smallMessage, "-v", "-f", bob, alice); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	text = readFile(t, b.waitMail(t, bob, 2)[1])
	b.waitMail(t, alice, 1)
	_ = text
	found := false
	for _, file := range b.mail(t, bob, "") {
		found = found || strings.Contains(readFile(t, file), "Final-Recipient: rfc822; "+alice+"\nAction: delivered\n")
	}
	if !found {
		t.Error("no report of the delivery")
	}
}

// TestMailOfThisHostUnderMaster: the role mta picks up, within its fence, as the user of all roles or as one of its own.
func TestMailOfThisHostUnderMaster(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "master with users")
	for name, start := range map[string]func(t *testing.T, params map[string]string) *box{
		"one user": func(t *testing.T, params map[string]string) *box {
			return serveWith(t, binary.Options{Command: "master", Init: []string{"--user", "bin"}, Params: params})
		},
		"role users": serveRoleUsers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spool := filepath.Join(peers.TempDir(t), "spool")
			must(t, os.Mkdir(spool, 0o755))
			must(t, os.Chmod(spool, 0o777))
			public := filepath.Join(spool, "public")
			b := start(t, map[string]string{"pickup.directory": quoteTOML(public), "pickup.wakeup_time": `"1s"`})
			s := newSendmail(t, b)
			must(t, os.Chmod(b.Data(), 0o751))
			must(t, os.Chmod(b.ConfigFile(), 0o644))
			s.user = nobodyUser
			s.sent(t, smallMessage, alice)
			b.waitMail(t, alice, 1)
			must(t, b.Stop())
			s.sent(t, smallMessage, alice)
			if left := names(t, filepath.Join(public, maildrop.Drop)); len(left) != 1 {
				t.Errorf("%q", left)
			}
			b.start(t)
			b.waitMail(t, alice, 2)
		})
	}
}

// TestQMQP: Debian's qmqp-source hands in messages by TCP and by a unix socket, each is there when it is told so,
// and who is not named gets nothing done.
func TestQMQP(t *testing.T) {
	t.Parallel()
	source := peers.Need(t, "qmqp-source", "postfix")
	dir := peers.TempDir(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := tcp.Addr().String()
	must(t, tcp.Close())
	socket := filepath.Join(dir, "qmqp")
	b := serve(t, map[string]string{"qmqpd.listen": fmt.Sprintf("[%q, %q]", port, "unix:"+socket), "qmqpd.authorized_clients": `["127.0.0.0/8"]`})
	client(t, dir, "", source, "-f", bob, "-t", alice, "-m", "20", "-s", "4", "-l", "100000", port)
	b.waitMail(t, alice, 20)
	client(t, dir, "", source, "-f", bob, "-t", alice, "-m", "5", "-r", "3", "unix:"+socket)
	text := readFile(t, b.mail(t, alice, "")[0])
	if !strings.Contains(text, "(localhost [127.0.0.1])\n\tby mx.example.test (Toastmaster) with QMQP id ") {
		t.Error(text[:min(len(text), 1000)])
	}
	must(t, b.Stop())
	must(t, b.SetParam("qmqpd.authorized_clients", `["192.0.2.0/24"]`))
	b.start(t)
	if out, err := tryClient(t, dir, "", source, "-f", bob, "-t", alice, port); !strings.Contains(out+fmt.Sprint(err), "not authorized") {
		t.Errorf("%v %s", err, out)
	}
}

// TestSendmailAsPostfix calls Debian's sendmail and ours with the same command lines: what they say, whether they
// succeed, and what arrives. Of what fails Postfix's exit code is 75 throughout, ours that of sysexits.h.
func TestSendmailAsPostfix(t *testing.T) {
	t.Parallel()
	peers.Need(t, "postfix", "postfix")
	b, s, _ := serveLocal(t, map[string]string{"smtpd.message_size_limit": "10000"})
	s.user = nil
	p, err := peers.StartPostfix(t.Context(), peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.example.test", Accounts: []peers.Account{{Address: alice}},
		Main: "message_size_limit = 10000\nmyorigin = mx.example.test\ndefer_transports = smtp\n",
	})
	must(t, err)
	defer p.Stop()
	debian := sendmail{"/usr/sbin/sendmail", []string{"MAIL_CONFIG=" + filepath.Join(p.Dir(), "etc")}, nil}
	toAlice := "To: " + alice + "\nSubject: x\n\nx\n"
	delivered := 0
	for _, c := range []struct {
		args, in string
		code     int  // ours
		own      bool // the words are our own
	}{
		{"-i ALICE", smallMessage, 0, false}, {"-t", toAlice, 0, false}, {"-ti", toAlice + ".\nand more\n", 0, false}, {"-t", toAlice + ".\nand more\n", 0, false},
		{"ALICE -t", "Cc: " + alice + "\n\nx\n", 0, false}, {"-t", "Resent-To: " + alice + "\nResent-From: x@y.example\nResent-Date: Fri, 27 Nov 2026 14:42:34 +0000\nResent-Message-Id: <x@y.example>\nFrom: x@y.example\nTo: nobody@example.test\n\nx\n", 0, false}, {"-t", "To: A <" + alice + ">, \n (a comment) " + alice + "\nBcc: " + alice + "\n\nx\n", 0, false},
		{"-t", smallMessage, 64, false}, {"-t", "", 64, false}, {"", smallMessage, 64, false}, {"-f <> ALICE", smallMessage, 0, false}, {"-f a@b.example ALICE", smallMessage, 0, false},
		{"-r local ALICE", smallMessage, 0, false}, {"-F Name ALICE", smallMessage, 0, false}, {"-FA,B ALICE", smallMessage, 0, false}, {"-FName ALICE", "From: x@y.example\n\nx\n", 0, false},
		{"-FCronDaemon -i -B8BITMIME -oem ALICE", "From: root (Cron Daemon)\nTo: root\nSubject: Cron\n\ncaf\xc3\xa9\n", 0, false},
		{"-oi -oem -odb -om -o7 -o8 ALICE", smallMessage, 0, false}, {"-Am -Ac -U -m -c -x -h 4 -L tag -O a=b -p x -e q ALICE", smallMessage, 0, false},
		{"-B 7BIT ALICE", smallMessage, 0, false}, {"-B x ALICE", smallMessage, 64, false}, {"-N x ALICE", smallMessage, 0, true}, {"-N never,success ALICE", smallMessage, 0, false}, {"-N never ALICE", smallMessage, 0, false},
		{"-R x ALICE", smallMessage, 0, false}, {"-R hdrs -V envid ALICE", smallMessage, 0, false}, {"-G ALICE", toAlice, 0, false}, {"-v ALICE", smallMessage, 0, false},
		{"ALICE", "From alice Mon Jan  5 10:00:00 2026\nSubject: x\n\nFrom here\n", 0, false}, {"ALICE", "Subject: x\r\n\r\nline\r\n", 0, false}, {"ALICE", "no header\n", 0, false}, {"ALICE", "", 0, false},
		{"-i -- ALICE", smallMessage, 0, false}, {"ALICE," + alice, smallMessage, 0, false}, {"ALICE", "Subject: x\n\n" + strings.Repeat("long line ", 1200) + "\n", 69, true},
		{"-bx", "", 64, false}, {"-n ALICE", smallMessage, 64, false}, {"-X log ALICE", smallMessage, 64, false}, {"-oA", "", 64, false}, {"-Z", "", 64, true}, {"-f", "", 64, true},
		{"-t -bp", "", 64, false}, {"-t -bs", "", 64, false}, {"-bp x", "", 64, false}, {"-bi x", "", 64, false}, {"-bs x", "", 64, false}, {"-q x", "", 64, false}, {"-bd x", "", 64, false},
		{"-qR", "", 64, false}, {"-qI", "", 64, false}, {"-qS x", "", 64, true}, {"-bh", "", 0, false}, {"-bH", "", 0, false}, {"-bv", "", 64, false}, {"-bv -t", "", 64, false},
		{"-bv -N never ALICE", "", 64, false}, {"-bv -v ALICE", "", 64, false}, {"-q", "", 0, false}, {"-bp", "", 0, true}, {"-bi", "", 0, true}, {"-bv ALICE", "", 0, false},
	} {
		args := strings.Fields(strings.ReplaceAll(c.args, "ALICE", alice))
		wantCode, wantOut, wantErr := debian.run(t, c.in, args...)
		code, out, errs := s.run(t, c.in, args...)
		wantErr = strings.ReplaceAll(wantErr, "root(0): ", "")
		if code != c.code || (code == 0) != (wantCode == 0) || !c.own && (errs != wantErr || strings.ReplaceAll(out, "<root>", "") != strings.ReplaceAll(wantOut, "<root>", "")) {
			t.Errorf("%q: exit %d %q %q, Postfix: %d %q %q", args, code, out, errs, wantCode, wantOut, wantErr)
			if code != wantCode && code*wantCode == 0 {
				t.FailNow() // what follows would be compared with another message
			}
		}
		if code != 0 || !strings.Contains(c.args+c.in, "ALICE") && !strings.Contains(c.in, alice) || strings.HasPrefix(c.args, "-bv") {
			continue
		}
		delivered++
		theirs := newestOf(t, c.args+" of Postfix", delivered, func() []string { return maildirFiles(t, p.Maildir(alice)) })
		ours := newestOf(t, c.args, delivered, func() []string { return b.mail(t, alice, "") })
		if strings.HasPrefix(c.args, "-f <>") { // Postfix has no domain there
			theirs = strings.Replace(theirs, "From: MAILER-DAEMON", "From: MAILER-DAEMON@mx.example.test", 1)
		}
		if got, want := essence(ours), essence(theirs); got != want {
			t.Errorf("%q:\n%s\nPostfix:\n%s", args, got, want)
		}
	}
}

// newestOf waits for the n-th message and reads it. The list of those before is in the order of their arrival by their
// names, but for the message that came last, which is the only new one.
func newestOf(t *testing.T, what string, n int, list func() []string) string {
	t.Helper()
	var files []string
	eventually(t, func() error {
		if files = list(); len(files) < n {
			return fmt.Errorf("%s: %d of %d messages", what, len(files), n)
		}
		return nil
	})
	if len(files) > n {
		t.Fatalf("%s: %d messages, want %d", what, len(files), n)
	}
	newest, at := "", int64(0)
	for _, f := range files {
		info, err := os.Stat(f)
		must(t, err)
		if now := info.ModTime().UnixNano(); now >= at {
			newest, at = f, now
		}
	}
	return readFile(t, newest)
}

// essence is a message without what differs between any two, and without the order of its fields.
func essence(text string) string {
	head, body, _ := strings.Cut(text, "\n\n")
	var fields []string
	for line := range strings.SplitSeq(strings.TrimSuffix(head, "\n"), "\n") {
		if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
			fields[len(fields)-1] += "\n" + line
			continue
		}
		fields = append(fields, line)
	}
	fields = slices.DeleteFunc(fields, func(field string) bool {
		name, _, _ := strings.Cut(strings.ToLower(field), ":")
		return slices.Contains([]string{"received", "date", "message-id", "x-original-to", "delivered-to"}, name)
	})
	slices.Sort(fields)
	return strings.Join(fields, "\n") + "\n\n" + body
}

// TestRealCallers: programs of Debian that call sendmail, and the command lines of others.
func TestRealCallers(t *testing.T) {
	t.Parallel()
	mail := peers.Need(t, "bsd-mailx", "bsd-mailx")
	git := peers.Need(t, "/usr/lib/git-core/git-send-email", "git-email")
	b, s, _ := serveLocal(t, nil)
	dir := peers.TempDir(t)
	must(t, os.Chmod(dir, 0o777))
	run := func(stdin, path string, args ...string) {
		t.Helper()
		caller := sendmail{path, append(slices.Clone(s.env), "HOME="+dir, "PATH=/usr/bin:/bin", "sendmail="+s.path, "LOGNAME=nobody", "USER=nobody", "GIT_COMMITTER_NAME=N", "GIT_COMMITTER_EMAIL=nobody@mx.example.test", "GIT_AUTHOR_NAME=N", "GIT_AUTHOR_EMAIL=nobody@mx.example.test"), nobodyUser}
		if code, out, errs := caller.run(t, stdin, args...); code != 0 {
			t.Errorf("%s: exit %d, %s%s", path, code, out, errs)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, ".mailrc"), []byte("set sendmail="+s.path+"\n"), 0o644))
	run("hello from mail(1)\n", mail, "-s", "by mailx", alice)
	patch := filepath.Join(dir, "0001-x.patch")
	must(t, os.WriteFile(patch, []byte("From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: N <nobody@mx.example.test>\nDate: Fri, 27 Nov 2026 10:00:00 +0000\nSubject: [PATCH] by git\n\nx\n---\n x | 1 +\n"), 0o644))
	run("", git, "--sendmail-cmd="+s.path, "--from=nobody@mx.example.test", "--to="+alice, "--confirm=never", "--quiet", patch)
	// Cron, PHP's mail(), logwatch.
	s.sent(t, "From: root (Cron Daemon)\nTo: nobody\nSubject: by cron\n\nx\n", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", alice)
	s.sent(t, "To: "+alice+"\r\nSubject: by php\r\nX-PHP-Originating-Script: 0:x.php\r\n\r\nx\r\n", "-t", "-i")
	s.sent(t, "To: "+alice+"\nFrom: logwatch\nSubject: by logwatch\n\nx\n", "-t")
	b.waitMail(t, alice, 5)
	all := ""
	for _, file := range b.mail(t, alice, "") {
		all += readFile(t, file)
	}
	for _, by := range []string{"by mailx", "[PATCH] by git", "by cron", "by php", "by logwatch"} {
		if !strings.Contains(all, "Subject: "+by+"\n") {
			t.Errorf("nothing %s", by)
		}
	}
	if strings.Count(all, "from userid 65534)") != 5 || strings.Contains(all, "\r") {
		t.Error(all)
	}
}
