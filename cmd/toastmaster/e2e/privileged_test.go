package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/testkit/peers"
)

// privilegedTables are a transport for users of this host, a command of another user, and a command on connections.
const privilegedTables = `
[[transport]]
name = "local"
agent = "local"
domains = ["local.example"]

[[transport]]
name = "command"
agent = "pipe"
domains = ["pipe.example"]
user = "uucp"
argv = ["/bin/sh", "-c", "cat >DIR/got/pipe"]

[[spawn]]
name = "who"
listen = ["127.0.0.1:PORT"]
user = "games"
argv = ["/usr/bin/id"]
`

// servePrivileged is an instance with users of the roles, users of this host, and a command of theirs for their mail.
func servePrivileged(t *testing.T, command string) (b *box, dir, spawned string) {
	t.Helper()
	peers.NeedRoot(t, "delivery to other users")
	dir = peers.TempDir(t)
	for sub, mode := range map[string]os.FileMode{"spool": 0o1777, "forward": 0o755, "got": 0o1777} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
		must(t, os.Chmod(filepath.Join(dir, sub), mode))
	}
	must(t, os.WriteFile(filepath.Join(dir, "aliases"), []byte("to-bob: "+bob+"\n"), 0o644))
	for user, text := range map[string]string{"man": `"|cat >` + dir + `/got/man; id -un >` + dir + `/got/man.is"`, "news": `\news, ` + bob} {
		uid, gid := idsOfUser(t, user)
		file := filepath.Join(dir, "forward", user)
		must(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
		must(t, os.Chown(file, uid, gid)) // nobody else may read it
	}
	b = serveRoles(t, map[string]string{
		"log.file": `"mail.log"`, "log.flush": `"0s"`, "smtpd.recipient_restrictions": "[]", "local.alias_maps": fmt.Sprintf("[%q]", "hash:"+dir+"/aliases"),
		"local.mail_spool_directory": strconv.Quote(dir + "/spool"), "local.forward_path": fmt.Sprintf("[%q]", dir+"/forward/$user"),
		"local.mailbox_command": strconv.Quote(strings.ReplaceAll(command, "DIR", dir)), "local.fallback_transport": `"discard:nobody has it"`,
	})
	must(t, b.Stop())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	spawned = l.Addr().String()
	must(t, l.Close())
	_, port, _ := net.SplitHostPort(spawned)
	f, err := os.OpenFile(b.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(strings.NewReplacer("DIR", dir, "PORT", port).Replace(privilegedTables))
	must(t, err)
	must(t, f.Close())
	must(t, b.SetParam("master.role_users", roleUsersParam))
	_, err = b.Run(testContext(t), "", "master", "set-permissions")
	must(t, err)
	b.start(t)
	return b, dir, spawned
}

// ofUser fails when a file is not of a user, and returns what is in it.
func ofUser(t *testing.T, path, user string) (text string) {
	t.Helper()
	eventually(t, func() error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		uid, gid := idsOfUser(t, user)
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != uid || int(st.Gid) != gid {
			t.Fatalf("%s is of %d:%d, not of %s", path, st.Uid, st.Gid, user)
		}
		if text = readFile(t, path); text == "" {
			return fmt.Errorf("%s is empty", path)
		}
		return nil
	})
	return text
}

// TestMasterPrivileged: where the roles have users of their own, a role that stays root, with three capabilities and a fence, runs what
// runs as users of this host: a mailbox command, a command of a .forward that its user alone may read, a pipe, a command on a connection. What
// a user forwards, and hands to another transport, is the queue's again, and the role mta runs no program any more.
func TestMasterPrivileged(t *testing.T) {
	t.Parallel()
	b, dir, spawned := servePrivileged(t, "cat >>DIR/got/box.$USER")
	s := b.waitServes(t)
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.pid("privileged")))
	must(t, err)
	if len(tasks) == 0 {
		t.Fatalf("%+v", s)
	}
	for _, task := range tasks {
		status := readFile(t, task)
		for _, want := range []string{"Uid:\t0\t0\t0\t0", "CapInh:\t0000000000000000", "CapPrm:\t00000000000000e0", "CapEff:\t00000000000000e0", "CapBnd:\t00000000000000e0", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !strings.Contains(status, want) {
				t.Errorf("no %q in %s", want, status)
			}
		}
	}
	for _, to := range []string{"games@local.example", "man@local.example", "news@local.example", "to-bob@local.example", "nobody-there@local.example", "x@pipe.example"} {
		b.sendOne(t, "a@example.net", to, "for "+to)
	}
	for _, is := range []struct{ file, user, says string }{
		{"box.games", "games", "Subject: for games@"}, {"man", "man", "Subject: for man@"}, {"man.is", "man", "man\n"}, {"box.news", "news", "Subject: for news@"}, {"pipe", "uucp", "Subject: for x@pipe"},
	} {
		if text := ofUser(t, filepath.Join(dir, "got", is.file), is.user); !strings.Contains(text, is.says) {
			t.Errorf("%s: %s", is.file, text)
		}
	}
	b.waitMail(t, bob, 2) // of news and to-bob
	b.flushUntilEmpty(t)
	log := readFile(t, filepath.Join(b.Data(), "mail.log"))
	for _, want := range []string{
		`to=<games@local.example> agent=local relay=local`, `text="delivered to command: cat >>` + dir + `/got/box.$USER"`, `text="delivered via command service"`, "forwarded as ", `to=<nobody-there@local.example> agent=local relay=none`,
		"role=privileged holds=", "no_exec",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	last := "" // it was started without users before
	for line := range strings.Lines(log) {
		if strings.Contains(line, "fence role=mta") {
			last = line
		}
		if strings.Contains(line, "panic") {
			t.Error(line)
		}
	}
	if !strings.Contains(last, "no_exec") {
		t.Errorf("%q", last)
	}
	c, err := net.Dial("tcp", spawned)
	must(t, err)
	defer c.Close()
	text, err := io.ReadAll(c)
	if must(t, err); !strings.Contains(string(text), "(games)") {
		t.Errorf("%s", text)
	}
	out, err := b.Run(testContext(t), "", "master", "services")
	must(t, err)
	for _, want := range []string{"local", "command", "spawn/who"} {
		found := false
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			found = found || len(f) > 1 && f[0] == want && f[1] == "privileged"
		}
		if !found {
			t.Errorf("%s is not privileged's: %s", want, out)
		}
	}
	// The log of each role is the new one after a rotation.
	must(t, os.Rename(filepath.Join(b.Data(), "mail.log"), filepath.Join(b.Data(), "mail.log.1")))
	_, err = b.Run(testContext(t), "", "master", "reload")
	must(t, err)
	b.sendOne(t, "a@example.net", "no.user@pipe.example", "rotated")
	b.flushUntilEmpty(t)
	for _, pid := range []int{s.Pid, s.pid("privileged"), s.pid("mta"), s.pid("store"), s.pid("admin")} {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		must(t, err)
		open := false
		for _, link := range links {
			to, _ := os.Readlink(link)
			open = open || to == filepath.Join(b.Data(), "mail.log")
			if strings.HasSuffix(to, "mail.log.1") {
				t.Errorf("process %d has the old log open", pid)
			}
		}
		if !open {
			t.Errorf("process %d has not the new log open", pid)
		}
	}
	_, err = b.Run(testContext(t), "", "master", "upgrade")
	must(t, err)
	b.sendOne(t, "a@example.net", "x@pipe.example", "after an upgrade")
	eventually(t, func() error {
		if text := readFile(t, filepath.Join(dir, "got", "pipe")); !strings.Contains(text, "after an upgrade") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
}

// TestPrivilegedIsKilled: SIGKILL of that role under load: the others serve on, nothing is lost, and a message comes again only when an attempt
// at it had failed, which the log has.
func TestPrivilegedIsKilled(t *testing.T) {
	t.Parallel()
	const kills, messages = 6, 240
	b, dir, _ := servePrivileged(t, "sed -n s/^Subject:.//p >>DIR/got/box")
	first := b.waitServes(t)
	seed := crashSeed(t)
	t.Logf("TOASTMASTER_SEED=%d repeats this run", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := b.steadySMTP(t)
	for n := range messages {
		_, err := c.send("a@example.net", []string{"games@local.example"}, fmt.Sprintf("Subject: id-%d\r\n\r\nx\r\n", n))
		must(t, err)
		if n%(messages/kills) == messages/kills-1 {
			s := b.waitRestarts(t, "privileged", n/(messages/kills))
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond) // at any moment
			must(t, syscall.Kill(s.pid("privileged"), syscall.SIGKILL))
		}
	}
	last := b.waitRestarts(t, "privileged", kills)
	for _, role := range roles {
		if last.pid(role) != first.pid(role) {
			t.Errorf("%s is another process: %+v", role, last)
		}
	}
	b.flushUntilEmpty(t)
	copies := map[string]int{}
	for line := range strings.Lines(readFile(t, filepath.Join(dir, "got", "box"))) {
		copies[strings.TrimSpace(line)]++
	}
	failed, sent := 0, 0
	for line := range strings.Lines(readFile(t, filepath.Join(b.Data(), "mail.log"))) {
		if strings.Contains(line, " attempt ") && strings.Contains(line, "to=<games@local.example>") {
			switch {
			case strings.Contains(line, "status=sent"):
				sent++
			case strings.Contains(line, "status=deferred") && strings.Contains(line, "dsn=4.3.0"):
				failed++
			default:
				t.Error(line)
			}
		}
	}
	doubled := 0
	for n := range messages {
		id := fmt.Sprintf("id-%d", n)
		if copies[id] == 0 {
			t.Errorf("%s is lost", id)
		}
		doubled += max(copies[id]-1, 0)
	}
	t.Logf("%d attempts failed, %d messages came twice", failed, doubled)
	if sent != messages || doubled > failed {
		t.Errorf("%d sent, %d attempts failed, %d doubled", sent, failed, doubled)
	}
}
