package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// outcome is a command that ends as its first argument says, and keeps what it gets in
// a file of the name that it has there.
const outcome = `#!/bin/sh
dir=${0%/*}
case "$1" in
exit*) cat >/dev/null; exit ${1#exit} ;;
out*) cat >/dev/null; echo "a line"; echo "another	one" >&2; exit ${1#out} ;;
dsn4) cat >/dev/null; echo "4.2.2 come back"; exit 67 ;;
dsn5) cat >/dev/null; echo "5.7.1 never"; exit 75 ;;
dsn2) cat >/dev/null; echo "2.1.5 well"; exit 69 ;;
sig*) cat >/dev/null; kill -${1#sig} $$; sleep 60 ;;
unread) exit 0 ;;
unreadfails) exit 1 ;;
slow) cat >/dev/null; echo waiting; sleep 600 & sleep 600 ;;
keep) shift; file=$1; shift; cat > "$dir/got/$file"; printf '[%s]\n' "$@" > "$dir/got/$file.args"; env | LC_ALL=C sort > "$dir/got/$file.env"; { pwd; id -u; id -g; id -G; } > "$dir/got/$file.who" ;;
esac
`

// withCommands is a folder with the command outcome, which everybody may enter, and where
// nobody may write.
func withCommands(t *testing.T) (dir string) {
	t.Helper()
	dir = peers.TempDir(t)
	must(t, os.WriteFile(filepath.Join(dir, "outcome"), []byte(outcome), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "got"), 0o777))
	must(t, os.Chmod(filepath.Join(dir, "got"), 0o777))
	return dir
}

// withTables is an instance with more tables in its configuration, and its log as Postfix
// writes it.
func withTables(t *testing.T, params map[string]string, tables string) (b *box, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "mail.log")
	all := map[string]string{"log.format": `"postfix"`, "log.file": strconv.Quote(log), "log.flush": `"0s"`, "smtpd.recipient_restrictions": "[]"}
	for name, value := range params {
		all[name] = value
	}
	b = serve(t, all)
	must(t, b.Stop())
	f, err := os.OpenFile(b.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("\n" + tables)
	must(t, err)
	must(t, f.Close())
	b.start(t)
	return b, log
}

// startPostfixWith is startPostfix with services of master.cf.
func startPostfixWith(t *testing.T, hostname, main, master string) *peers.Postfix {
	t.Helper()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{Dir: peers.TempDir(t), Hostname: hostname, Main: main, Master: master})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log ends:\n%s", p.LogTail(6000))
		}
		p.Stop()
	})
	return p
}

// waitAttempts waits until a log has a line about each recipient.
func waitAttempts(t *testing.T, to []string, log func() string) (found map[string]string) {
	t.Helper()
	eventually(t, func() error {
		found = attempts(log())
		for _, who := range to {
			if found[who] == "" {
				return fmt.Errorf("%s was not tried: %v", who, found)
			}
		}
		return nil
	})
	return found
}

// TestPipeOutcomesAsPostfix: each way in which a command can end has the status and the text in
// the log that Debian's Postfix gives it.
func TestPipeOutcomesAsPostfix(t *testing.T) {
	t.Parallel()
	dir := withCommands(t)
	var to []string
	for _, n := range []int{0, 1, 2, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 127, 255} {
		to = append(to, fmt.Sprintf("exit%d@run.example", n))
	}
	for _, name := range []string{"out0", "out1", "out67", "out75", "dsn2", "dsn4", "dsn5", "sig1", "sig9", "sig11", "sig15", "unread", "unreadfails"} {
		to = append(to, name+"@run.example")
	}
	to = append(to, "slow@slow.example", "exit0@small.example", "exit0@none.example", "-x@run.example", "exit0@nowhere.example", "exit0@final.example")
	command := filepath.Join(dir, "outcome")
	message := "From: <alice@example.test>\nSubject: outcomes\n\n" + strings.Repeat("text\n", 100)

	p := startPostfixWith(t, "mx.remote.example", "enable_long_queue_ids = yes\nslow_time_limit = 1s\nmaximal_queue_lifetime = 1d\n"+
		"transport_maps = inline:{ {run.example = run:} {slow.example = slow:} {small.example = small:} {none.example = none:} {nowhere.example = nowhere:} {final.example = final:} }",
		"run unix - n n - 10 pipe user=nobody argv="+command+" ${user}\n"+
			"slow unix - n n - 10 pipe user=nobody argv="+command+" ${user}\n"+
			"small unix - n n - 10 pipe user=nobody size=200 argv="+command+" ${user}\n"+
			"none unix - n n - 10 pipe user=nobody argv=/no/such/program ${user}\n"+
			"nowhere unix - n n - 10 pipe user=nobody directory=/no/such/folder argv="+command+" ${user}\n"+
			"final unix - n n - 10 pipe user=nobody flags=X argv="+command+" ${user}\n")
	for _, who := range to {
		must(t, p.Submit(testContext(t), "alice@example.test", []string{who}, message))
	}
	theirs := waitAttempts(t, to, func() string { return p.LogTail(1 << 20) })

	tables := ""
	for _, row := range []string{"run", "slow", "small", "none", "nowhere", "final"} {
		program, more := command, ""
		switch row {
		case "slow":
			more = "time_limit = \"1s\"\n"
		case "small":
			more = "size = 200\n"
		case "none":
			program = "/no/such/program"
		case "nowhere":
			more = "directory = \"/no/such/folder\"\n"
		case "final":
			more = "flags = \"X\"\n"
		}
		tables += fmt.Sprintf("[[transport]]\nname = %q\nagent = \"pipe\"\ndomains = [%q]\nuser = \"nobody\"\nargv = [%q, \"${user}\"]\n%s", row, row+".example", program, more)
	}
	b, log := withTables(t, nil, tables)
	for _, who := range to {
		if code, out, errs := newSendmail(t, b).run(t, message, "-i", "-f", alice, "--", who); code != 0 {
			t.Fatal(code, out, errs)
		}
	}
	ours := waitAttempts(t, to, func() string { return readFile(t, log) })
	for _, who := range to {
		if got, want := ours[who], asOurs(theirs[who]); got != want {
			t.Errorf("%s:\n  ours    %s\n  Postfix %s", who, got, want)
		}
	}
}

// fatalOf is how a child of Postfix begins what it says.
var fatalOf = regexp.MustCompile(`(pipe|local): fatal: (pipe_command: )?`)

// asOurs is a line of Postfix's with the differences that docs/postfix-differences.md names.
func asOurs(line string) string {
	line = strings.Replace(line, " )", ")", 1)
	line = strings.Replace(line, "error relay=none dsn=5.1.3", "pipe relay=run dsn=5.1.3", 1)
	line = strings.Replace(line, "dsn=5.0.0 status=bounced (well)", "dsn=5.3.0 status=bounced (service unavailable. Command output: 2.1.5 well)", 1)
	return fatalOf.ReplaceAllString(line, "")
}
