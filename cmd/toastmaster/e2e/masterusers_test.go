package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
)

// The users of the roles in tests, by number: no host has them.
var roleUIDs = map[string]int{"mta": 20101, "store": 20102, "admin": 20103}

const roleUsersParam = `["mta=20101:20101", "store=20102:20102", "admin=20103:20103"]`

// serveRoleUsers is serveRoles with a user for each role, if root runs the test.
func serveRoleUsers(t *testing.T, params map[string]string) *box {
	t.Helper()
	b := serveRoles(t, params)
	if os.Geteuid() == 0 {
		must(t, b.Stop())
		must(t, b.SetParam("master.role_users", roleUsersParam))
		_, err := b.Run(testContext(t), "", "master", "set-permissions")
		must(t, err)
		b.start(t)
	}
	return b
}

// owners are the users of all that is below a path, and what is of each.
func owners(t *testing.T, dir string) map[int]string {
	t.Helper()
	all := map[int]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[int(info.Sys().(*syscall.Stat_t).Uid)] = path
		return nil
	}))
	return all
}

// onlyOf fails for what is of another user than these.
func onlyOf(t *testing.T, dir string, roles ...string) {
	t.Helper()
	for uid, path := range owners(t, dir) {
		is := false
		for _, role := range roles {
			is = is || roleUIDs[role] == uid
		}
		if !is {
			t.Errorf("%s is of the user %d", path, uid)
		}
	}
}

// mayNot fails when a user may look into a folder.
func mayNot(t *testing.T, uid int, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	if int(st.Uid) == uid || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%s: of %d, mode %v: %d may look", path, st.Uid, info.Mode(), uid)
	}
}

// TestRolesHaveUsersOfTheirOwn: an instance of one user, with mail, is given to several by a command that says what it
// does; nothing serves before. Then mail comes in by all ways, large mail too, is read, copied and changed by whoever did not
// deliver it, and the administration sees all. A backup is made and comes back as it was. Then all is one user's again.
func TestRolesHaveUsersOfTheirOwn(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "a user for each role is the matter")
	b := serveRoles(t, map[string]string{
		"smtp.relayhost": `"127.0.0.1:1"`, "postscreen.enable": "true", "log.file": `"mail.log"`, "queue.memory_limit": `"64 KiB"`, "store.spool_memory": `"64 KiB"`,
	})
	b.sendOne(t, "a@example.net", bob, "before")
	b.waitMail(t, bob, 1)
	_, err := b.Run(testContext(t), "", "master", "set-permissions")
	if err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("while it runs: %v", err)
	}
	must(t, b.Stop())
	must(t, b.SetParam("master.role_users", roleUsersParam))
	for _, args := range [][]string{{"config", "check"}, {"master"}, {"serve"}} {
		if _, err := b.Run(testContext(t), "", args...); err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), "master set-permissions") {
			t.Errorf("%v: %v", args, err)
		}
	}
	was := owners(t, b.Data())
	out, err := b.Run(testContext(t), "", "master", "set-permissions", "-n")
	if must(t, err); !strings.Contains(out, b.Data()+"/queue is of nobody:nogroup and should be of 20101:20101") || fmt.Sprint(owners(t, b.Data())) != fmt.Sprint(was) {
		t.Errorf("%s\n%v, was %v", out, owners(t, b.Data()), was)
	}
	_, err = b.Run(testContext(t), "", "master", "set-permissions")
	must(t, err)
	if out, err := b.Run(testContext(t), "", "master", "set-permissions"); err != nil || !strings.Contains(out, "as they should be") {
		t.Errorf("a second time: %v %s", err, out)
	}
	b.start(t)
	s := b.waitServes(t)
	for _, role := range roles {
		status := readFile(t, fmt.Sprintf("/proc/%d/status", s.pid(role)))
		uid := strconv.Itoa(roleUIDs[role])
		for _, want := range []string{"Uid:\t" + strings.Repeat(uid+"\t", 3) + uid, "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Seccomp:\t2"} {
			if !strings.Contains(status, want) {
				t.Errorf("%s: no %q in %s", role, want, status)
			}
		}
	}

	large := "From: <a@example.net>\r\nSubject: large\r\n\r\n" + strings.Repeat("a line of text\r\n", 1<<15)
	c := b.steadySMTP(t)
	_, err = c.send("a@example.net", []string{bob}, "From: <a@example.net>\r\nSubject: small\r\n\r\nx\r\n")
	must(t, err)
	_, err = c.send("a@example.net", []string{bob}, large)
	must(t, err)
	b.waitMail(t, bob, 3)
	lmtp, err := dialSMTP(b.LMTP(), "LHLO")
	must(t, err)
	_, err = lmtp.send("a@example.net", []string{bob}, large)
	must(t, err)
	b.waitMail(t, bob, 4)
	imap := dialIMAP(t, b.IMAP())
	imap.command(t, "LOGIN "+bob+" "+bobsWord)
	imap.command(t, "CREATE Kept")
	imap.command(t, "SELECT INBOX")
	for _, command := range []string{"STORE 1:* +FLAGS (\\Seen $Mine)", "COPY 1:* Kept", "MOVE 1 Kept", "FETCH 1:* (FLAGS BODY.PEEK[])", "STORE 2 +FLAGS (\\Deleted)", "EXPUNGE", "STATUS Kept (MESSAGES)", "RENAME Kept Moved"} {
		text := string(imap.command(t, command))
		if strings.HasPrefix(command, "STATUS") && !strings.Contains(text, "MESSAGES 5") {
			t.Error(text)
		}
	}
	c.send("a@example.net", []string{"x@elsewhere.example"}, "Subject: stays\r\n\r\nx\r\n")
	b.queueOutside(t)
	ctx := testContext(t)
	for _, step := range []struct{ says, args string }{
		{bob, "who"}, {"qmgr", "status"}, {"deliver", "check " + bob}, {"Moved", "mailbox status " + bob}, {"reloaded", "reload"}, {"reloaded", "master reload"},
	} {
		if out, err := b.Run(ctx, "", strings.Fields(step.args)...); err != nil || step.says != "Moved" && !strings.Contains(out, step.says) {
			t.Errorf("%s: %v %s", step.args, err, out)
		}
	}
	onlyOf(t, filepath.Join(b.Data(), "queue"), "mta")
	onlyOf(t, filepath.Join(b.Data(), "mta"), "mta")
	onlyOf(t, filepath.Join(b.Data(), "mail"), "mta", "store", "admin")
	for _, role := range []string{"store", "admin"} {
		mayNot(t, roleUIDs[role], filepath.Join(b.Data(), "queue"))
	}

	// Backup while it runs, and when it does not; what root does leaves nothing of root's.
	to := filepath.Join(b.dir, "backups")
	b.backup(t, to)
	must(t, b.Stop())
	b.backup(t, to)
	onlyOf(t, filepath.Join(b.Data(), "queue"), "mta")
	onlyOf(t, filepath.Join(b.Data(), "mail"), "mta", "store", "admin")
	out, err = b.Run(ctx, "", "queue", "list")
	if must(t, err); !strings.Contains(out, "x@elsewhere.example") {
		t.Errorf("the queue of a stopped instance: %s", out)
	}
	_, err = b.Run(ctx, "", "queue", "hold", strings.Fields(strings.Split(out, "\n")[1])[0])
	must(t, err)
	onlyOf(t, filepath.Join(b.Data(), "queue"), "mta")
	b.start(t)
	b.waitMail(t, bob, 2)
	must(t, b.Stop())
	must(t, os.Rename(b.Data(), filepath.Join(b.dir, "lost")))
	b.toastmaster(t, "restore", "-q", to)
	b.start(t)
	b.waitMail(t, bob, 2)
	onlyOf(t, filepath.Join(b.Data(), "queue"), "mta")
	must(t, b.Stop())

	// And back.
	must(t, b.SetParam("master.role_users", "[]"))
	_, err = b.Run(ctx, "", "master", "set-permissions")
	must(t, err)
	b.start(t)
	b.sendOne(t, "a@example.net", bob, "one user again")
	b.waitMail(t, bob, 3)
}

// TestRoleUsersThatCannotBe: a mistake in the list is told with its parameter.
func TestRoleUsersThatCannotBe(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "a user for each role is the matter")
	b := serveWith(t, binary.Options{Command: "master", Init: []string{"--user", "nobody"}})
	must(t, b.Stop())
	for _, c := range []struct{ users, says string }{
		{`["mta=20101:20101"]`, "the role store has no user"},
		{`["mta=20101:20101", "store=20101:20101", "admin=20103:20103"]`, "is the user of mta, too"},
		{`["mta=20101:20101", "store=nobody", "admin=20103:20103"]`, "is the user of main.user, too"},
		{`["mta=20101:20101", "store=root", "admin=20103:20103"]`, "is root"},
		{`["mta=20101:20101", "store=no-such-user", "admin=20103:20103"]`, `there is no user "no-such-user"`},
		{`["smtpd=20101:20101"]`, `"smtpd" is no role`},
	} {
		must(t, b.SetParam("master.role_users", c.users))
		if _, err := b.Run(testContext(t), "", "master"); err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "master.role_users") {
			t.Errorf("%s: %v", c.users, err)
		}
	}
}
