package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/peers"
)

// greylist is a policy service in the form of SMTPD_POLICY_README: it reads requests from standard input, and has its memory in
// a folder that the user of the command may write to.
const greylist = `#!/usr/bin/python3
import os, sys
request = {}
for line in sys.stdin:
    line = line.rstrip("\n")
    if line:
        name, _, value = line.partition("=")
        request[name] = value
        continue
    path = "DIR/seen/" + request["client_address"] + " " + request["sender"] + " " + request["recipient"]
    if os.path.exists(path):
        answer = "dunno"
    else:
        open(path, "w").close()
        answer = "defer_if_permit Service is unavailable"
    sys.stdout.write("action=" + answer + "\n\n")
    sys.stdout.flush()
    request = {}
`

// TestPolicyServiceBySpawn: a policy service that spawn runs is asked by check_policy_service, of ours and of Debian's Postfix, which
// answer clients alike; it runs as nobody.
func TestPolicyServiceBySpawn(t *testing.T) {
	t.Parallel()
	script := func() (dir string) {
		dir = peers.TempDir(t)
		must(t, os.Mkdir(dir+"/seen", 0o755))
		uid, gid := idsOfUser(t, "nobody")
		must(t, os.Chown(dir+"/seen", uid, gid))
		must(t, os.WriteFile(dir+"/greylist", []byte(strings.ReplaceAll(greylist, "DIR", dir)), 0o755))
		return dir
	}
	peers.NeedRoot(t, "another user")
	theirs, ours := script(), script()
	p := startPostfixWith(t, "mx.remote.example", "smtpd_recipient_restrictions = check_policy_service unix:private/greylist, permit\nsmtpd_delay_reject = yes\ngreylist_time_limit = 3600\n",
		"greylist unix - n n - 0 spawn user=nobody argv=/usr/bin/python3 "+theirs+"/greylist\n")
	b, _ := withTables(t, map[string]string{"smtpd.recipient_restrictions": `["check_policy_service unix:` + ours + `/socket", "permit"]`, "main.trusted_networks": `["192.0.2.0/24"]`},
		"[[spawn]]\nname = \"greylist\"\nlisten = [\"unix:"+ours+"/socket\"]\nuser = \"nobody\"\nargv = [\"/usr/bin/python3\", \""+ours+"/greylist\"]\ntime_limit = \"1h\"\n")
	say := func(address string) string {
		t.Helper()
		s, err := dialSMTP(address, "EHLO")
		must(t, err)
		defer s.Close()
		must(t, s.SetDeadline(time.Now().Add(time.Minute)))
		_, err = s.command("250", "MAIL FROM:<x@elsewhere.example>")
		must(t, err)
		reply, err := s.command("", "RCPT TO:<alice@example.test>")
		must(t, err)
		return reply
	}
	for n, want := range []string{"450 4.7.1 <alice@example.test>: Recipient address rejected: Service is unavailable", "250 2.1.5 "} {
		got, their := say(b.SMTP()), say(p.SMTP())
		if n == 0 && got != their || !strings.HasPrefix(got, want) {
			t.Errorf("%d: %s, Postfix %s, want %s", n, got, their, want)
		}
	}
	info, err := os.Stat(ours + "/seen/127.0.0.1 x@elsewhere.example alice@example.test")
	if must(t, err); ownerOf(info) != ownerOf(stat(t, theirs+"/seen/127.0.0.1 x@elsewhere.example alice@example.test")) {
		t.Errorf("it ran as %s", ownerOf(info))
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info
}

// pids are numbers of processes, and what differs between two servers.
var pids = regexp.MustCompile(`(?m)^(PWD|OLDPWD|MAIL_CONFIG|MAIL_LOGTAG|LANG|TZ|_|SHLVL)=.*\n`)

// TestSpawnAsPostfix: a command has the connection as its input, output and errors, and user, groups, mask and
// environment as with Debian's Postfix; what ends it, and how many there may be, is bounded.
func TestSpawnAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "another user")
	dir := peers.TempDir(t)
	const tell = "#!/bin/sh\nread line; echo \"got $line\"; echo an error >&2; id -u; id -g; id -G; umask; env | LC_ALL=C sort; ls /proc/$$/fd | LC_ALL=C sort | head -4 | tr '\\n' ' '; exit 3\n"
	must(t, os.WriteFile(dir+"/tell", []byte(tell), 0o755))
	must(t, os.WriteFile(dir+"/slow", []byte("#!/bin/sh\necho began; sleep 600 & echo $! > /dev/null; sleep 600\n"), 0o755))
	address, slow := freePort(t), freePort(t)
	service := func(name, listen, command, more string) string {
		return fmt.Sprintf("[[spawn]]\nname = %q\nlisten = [%q]\nuser = \"nobody\"\nargv = [%q, \"an argument; with a shell's signs\"]\n%s\n", name, listen, dir+"/"+command, more)
	}
	b, log := withTables(t, nil, service("tell", address, "tell", "")+service("tell2", "unix:"+dir+"/socket", "tell", "unix_listener_mode = \"0600\"")+
		service("slow", slow, "slow", "time_limit = \"1s\"\nprocess_limit = 1"))
	p := startPostfixWith(t, "mx.remote.example", "", fmt.Sprintf("%s unix - n n - - spawn user=nobody argv=%s/tell {an argument; with a shell's signs}\n", "tell", dir))
	ask := func(network, address string) string {
		t.Helper()
		var c net.Conn
		eventually(t, func() (err error) { c, err = net.Dial(network, address); return err })
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(time.Minute)))
		fmt.Fprintln(c, "a line")
		all, err := io.ReadAll(c)
		must(t, err)
		return pids.ReplaceAllString(string(all), "")
	}
	want := ask("unix", filepath.Join(p.Dir(), "queue", "private", "tell"))
	for network, address := range map[string]string{"tcp": address, "unix": dir + "/socket"} {
		if got := ask(network, address); got != want || !strings.Contains(got, "got a line\nan error\n65534\n") {
			t.Errorf("%s:\n--- ours\n%s\n--- Postfix\n%s", network, got, want)
		}
	}
	if mode := stat(t, dir+"/socket").Mode().Perm(); mode != 0o600 {
		t.Errorf("%v", mode)
	}
	first, err := net.Dial("tcp", slow)
	must(t, err)
	defer first.Close()
	in := bufio.NewReader(first)
	if line, err := in.ReadString('\n'); line != "began\n" {
		t.Fatalf("%q %v", line, err)
	}
	second, err := net.Dial("tcp", slow)
	must(t, err)
	defer second.Close()
	if n, err := second.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a second command was run: %d %v", n, err)
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 { // its end, and that of what it has started
		t.Errorf("%q %v", rest, err)
	}
	eventually(t, func() error {
		text := readFile(t, log)
		for _, want := range []string{"exit 3", "time limit"} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("the log does not say %q: %s", want, text)
			}
		}
		return nil
	})
	// Its seat is given back after the line of the log.
	eventually(t, func() error {
		third, err := net.Dial("tcp", slow)
		if err != nil {
			return err
		}
		t.Cleanup(func() { third.Close() })
		if line, err := bufio.NewReader(third).ReadString('\n'); line != "began\n" {
			return fmt.Errorf("%q %w", line, err)
		}
		return nil
	})
	must(t, b.Stop()) // it ends with the server
}

// TestLocalAndPipeAreProbed: reject_unverified_recipient knows who has mail here by local, by a transport that local hands to, and by a
// command, and who has not.
func TestLocalAndPipeAreProbed(t *testing.T) {
	t.Parallel()
	d, err := peers.StartDovecot(testContext(t), peers.DovecotOptions{Dir: peers.TempDir(t), Accounts: passedUsers()})
	must(t, err)
	t.Cleanup(d.Stop)
	b, _ := localInstanceWith(t, withUsers(t), map[string]string{
		"smtpd.recipient_restrictions": `["reject_unverified_recipient"]`, "smtpd.unverified_recipient_reject_code": "550", "local.recipient_maps": "[]", "smtpd.error_limit": "1000",
		"verify.poll_count": "30", "local.fallback_transport": `"lmtp:inet:` + d.LMTP() + `"`,
	}, "\n[[transport]]\nname = \"run\"\nagent = \"pipe\"\nuser = \"nobody\"\nargv = [\"/bin/cat\", \"${recipient}\"]\ndomains = [\"run.example\"]\n")
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("250", "MAIL FROM:<x@elsewhere.example>")
	must(t, err)
	for _, c := range [][2]string{
		{"games@local.example", "250 "}, {"several@local.example", "250 "}, {"cmd@local.example", "250 "}, {"fwd@local.example", "250 "}, {"ghost@local.example", "250 "},
		{"no-such-user@local.example", "550 5.1.1 "}, {"x@run.example", "250 "}, {"-x@run.example", "550 5."},
	} {
		if got, err := s.command("", "RCPT TO:<%s>", c[0]); err != nil || !strings.HasPrefix(got, c[1]) {
			t.Errorf("%s: %s %v, want %s", c[0], got, err, c[1])
		}
	}
}
