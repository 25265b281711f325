package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/testkit/binary"
)

// lowPort is a port that only root may open, and that is free.
func lowPort(t *testing.T) string {
	t.Helper()
	for port := 1023; port > 600; port-- {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			must(t, l.Close())
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no free port below 1024")
	return ""
}

// TestRootIsGivenUp: started by root with main.user, the server has opened a port
// below 1024 and read a key that only root may read, and then has nothing of
// root's in any thread. Mail comes in, is delivered and read, a large one too,
// and all files are the user's.
func TestRootIsGivenUp(t *testing.T) {
	t.Parallel()
	who, err := user.Lookup("nobody")
	must(t, err)
	params := map[string]string{}
	if os.Geteuid() != 0 {
		// Who is not root can only be who main.user says.
		who, err = user.Current()
		must(t, err)
	} else {
		params["imapd.listen"] = `["127.0.0.1:` + lowPort(t) + `"]`
	}
	b := serveWith(t, binary.Options{Params: params, Init: []string{"--user", who.Username}})
	must(t, b.Stop())
	if os.Geteuid() == 0 {
		key := filepath.Join(b.Data(), "tls", "key.pem")
		must(t, os.Chown(key, 0, 0))
		must(t, os.Chmod(key, 0o600))
		// A renewed one would not be read, which nobody sees before it is too late.
		says := func(want bool) {
			cmd := exec.CommandContext(testContext(t), program, "config", "check", "-c", b.ConfigFile())
			out, err := cmd.CombinedOutput()
			if must(t, err); strings.Contains(string(out), "whom serve becomes, may not read "+key) != want {
				t.Errorf("config check: %s", out)
			}
		}
		says(true)
		must(t, os.Chmod(key, 0o640))
		gid, err := strconv.Atoi(who.Gid)
		must(t, err)
		must(t, os.Chown(key, 0, gid))
		says(false)
		must(t, os.Chown(key, 0, 0))
		must(t, os.Chmod(key, 0o600))
	}
	b.start(t)

	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", b.Process().Pid()))
	must(t, err)
	if len(threads) < 2 {
		t.Fatalf("threads: %v", threads)
	}
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // it has ended
		}
		must(t, err)
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			switch {
			case fields[0] == "Uid:" && strings.Join(fields[1:], " ") != strings.Repeat(who.Uid+" ", 3)+who.Uid,
				fields[0] == "Gid:" && strings.Join(fields[1:], " ") != strings.Repeat(who.Gid+" ", 3)+who.Gid,
				os.Geteuid() == 0 && (fields[0] == "CapEff:" || fields[0] == "CapPrm:") && strings.Trim(fields[1], "0") != "",
				os.Geteuid() == 0 && fields[0] == "Groups:" && strings.Join(fields[1:], " ") != who.Gid:
				t.Errorf("%s: %s", file, line)
			}
		}
	}

	b.sendOne(t, "a@example.net", bob, "small")
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("a@example.net", []string{bob}, "From: <a@example.net>\r\nSubject: large\r\n\r\n"+strings.Repeat("a line of text\r\n", 1<<17))
	must(t, err)
	b.waitMail(t, bob, 2)
	if params["imapd.listen"] != "" {
		c := converse(t, strings.Trim(params["imapd.listen"], `["]`))
		if text := c.say(t, "a LOGIN "+bob+" "+bobsWord+"\r\nb SELECT INBOX\r\n", "b "); !strings.Contains(text, "* 2 EXISTS") {
			t.Errorf("IMAP: %s", text)
		}
	}
	must(t, b.Stop())
	must(t, filepath.WalkDir(b.Data(), func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) == "key.pem" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; fmt.Sprint(uid) != who.Uid {
			t.Errorf("%s is of user %d", path, uid)
		}
		return nil
	}))
}

// TestRootsFilesAreRefused: what the user could not use is a mistake, for config
// check and for serve, before anything is opened.
func TestRootsFilesAreRefused(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	must(t, b.Stop())
	name := "nobody"
	text := readFile(t, b.ConfigFile())
	for _, who := range []string{name, "no-such-user", "root", "4711"} {
		changed := strings.Replace(text, "[main]\n", "[main]\nuser = \""+who+"\"\n", 1)
		must(t, os.WriteFile(b.ConfigFile(), []byte(changed), 0o600))
		var said []string
		for _, args := range [][]string{{"config", "check"}, {"serve"}} {
			_, err := b.Run(testContext(t), "", args...)
			if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), "main.user") {
				t.Errorf("%s as %s: %v", args[0], who, err)
				continue
			}
			_, why, _ := strings.Cut(err.Error(), "exit status 2")
			said = append(said, why)
		}
		if len(said) == 2 && said[0] != said[1] {
			t.Errorf("check says %s, serve says %s", said[0], said[1])
		}
	}
	must(t, os.WriteFile(b.ConfigFile(), []byte(text), 0o600))
}
