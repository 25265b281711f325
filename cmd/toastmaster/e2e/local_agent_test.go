package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// localAliases are aliases(5), with DIR for the folder.
const localAliases = `# a comment
cmd: "|DIR/outcome keep cmd"
file: DIR/got/filebox
null: /dev/null
md: DIR/got/md/
several: games, man, cmd2
 , DIR/got/severalbox
cmd2: "|DIR/outcome keep cmd2"
fail67: "|exit 67"
fail75: "|exit 75"
incl: :include:DIR/list
inclcmd: :include:DIR/listcmd
self: self
lp: lp, DIR/got/lpcopy
fwd: alice@example.test
"two words": games
owned: "Alice" <alice@example.test>
owner-owned: man
members: games, man, nested, cmd4
owner-members: alice@example.test
nested: bin, "|DIR/outcome keep nested"
cmd4: "|DIR/outcome keep cmd4"
inclself: :include:DIR/listself
plain: \man
proc: "|/usr/bin/procmail -m DIR/procmailrc"
drop: "|/usr/bin/maildrop DIR/mailfilter"
missing: "|/no/such/program"
double: man, man, cmd3, cmd3
cmd3: "|DIR/outcome keep cmd3"
ext: "|DIR/outcome keep ext"
`

// localRecipients get a message each.
func localRecipients() []string {
	var to []string
	for _, name := range []string{
		"cmd", "file", "null", "md", "several", "fail67", "fail75", "incl", "inclcmd", "self", "lp", "fwd", `"two words"`, "owned", "members", "inclself", "plain", "proc", "drop", "missing", "double", "ext+more",
		"news", "games+box", "MAN", "no-such-user", "uucp", "backup",
	} {
		to = append(to, name+"@local.example")
	}
	return to
}

// withUsers is a folder with what the users and the aliases of the test need: users of every
// Debian, whose mail and .forward files are here.
func withUsers(t *testing.T) (dir string) {
	t.Helper()
	peers.NeedRoot(t, "delivery to other users")
	peers.Need(t, "procmail", "procmail")
	peers.Need(t, "maildrop", "maildrop")
	dir = withCommands(t)
	write := func(name, text, owner string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), mode))
		must(t, os.Chmod(path, mode))
		if owner != "" {
			uid, gid := idsOfUser(t, owner)
			must(t, os.Chown(path, uid, gid))
		}
	}
	for _, sub := range []string{"spool", "forward"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	must(t, os.Chmod(filepath.Join(dir, "spool"), 0o1777))
	write("aliases", localAliases, "", 0o644)
	write("list", "# a list\ngames\n\"man\", lp2@example.test\n", "", 0o644)
	write("listself", "inclself, games\n", "", 0o644)
	write("listcmd", "\"|DIR/outcome keep listcmd\"\n", "", 0o644)
	write("procmailrc", "VERBOSE=off\n:0\nDIR/got/procmail/\n", "", 0o644)
	write("mailfilter", "to \"DIR/got/maildropbox\"\n", "nobody", 0o600)
	write("forward/news", "\\news, \"|DIR/outcome keep news\"\n", "news", 0o644)
	write("forward/games+box", "DIR/got/gamesbox\n", "games", 0o644)
	write("forward/uucp", "alice@example.test\n", "uucp", 0o666) // not safe
	write("forward/backup", "", "backup", 0o644)
	return dir
}

func idsOfUser(t *testing.T, name string) (uid, gid int) {
	t.Helper()
	for line := range strings.Lines(readFile(t, "/etc/passwd")) {
		if f := strings.Split(line, ":"); f[0] == name {
			uid, _ = strconv.Atoi(f[2])
			gid, _ = strconv.Atoi(f[3])
			return uid, gid
		}
	}
	t.Fatalf("there is no user %s", name)
	return 0, 0
}

// localInstance is an instance whose own name has users of this host.
func localInstance(t *testing.T, dir string, params map[string]string) (b *box, log string) {
	return localInstanceWith(t, dir, params, "")
}

// localInstanceWith is localInstance with more in its configuration.
func localInstanceWith(t *testing.T, dir string, params map[string]string, more string) (b *box, log string) {
	all := map[string]string{
		"local.alias_maps": fmt.Sprintf("[%q]", "hash:"+dir+"/aliases"), "local.mail_spool_directory": strconv.Quote(dir + "/spool"),
		"local.forward_path": fmt.Sprintf("[%q, %q]", dir+"/forward/$user${recipient_delimiter}${extension}", dir+"/forward/$user"),
	}
	for name, value := range params {
		all[name] = value
	}
	return withTables(t, all, "[[transport]]\nname = \"local\"\nagent = \"local\"\ndomains = [\"local.example\"]\n"+more)
}

// aliasOfOne is how Postfix's log names a recipient who is another one.
var aliasOfOne = regexp.MustCompile(`to=<[^>]*>, orig_to=<"?([^">@]*)"?(@[^>]*)>,`)

// namedAlias is Postfix's log with recipients as they were named. Those of a list have a line of their own besides the list's.
func namedAlias(log string) string {
	return aliasOfOne.ReplaceAllStringFunc(log, func(line string) string {
		m := aliasOfOne.FindStringSubmatch(line)
		if strings.HasPrefix(m[1], "incl") && !strings.HasPrefix(line, "to=<cmd") && !strings.HasPrefix(line, "to=<listcmd") {
			return line
		}
		return "to=<" + m[1] + m[2] + ">,"
	})
}

var forwardedAs = regexp.MustCompile(`forwarded as \w+`)

// TestLocalAsPostfix: aliases, lists, .forward files, commands and mailboxes end as with Debian's
// Postfix, octet by octet.
func TestLocalAsPostfix(t *testing.T) {
	t.Parallel()
	theirDir, ourDir := withUsers(t), withUsers(t)
	p := startPostfixLocal(t, theirDir)
	b, log := localInstance(t, ourDir, nil)
	to := localRecipients()
	for _, who := range to {
		sendTo(t, p.SMTP(), "s@elsewhere.example", []string{who})
	}
	// Postfix's lines about an alias for one user here are about that user.
	theirs := waitAttempts(t, withoutQuotes(to), func() string { return namedAlias(p.LogTail(1 << 20)) })
	for _, who := range to {
		sendTo(t, b.SMTP(), "s@elsewhere.example", []string{who})
	}
	ours := waitAttempts(t, withoutQuotes(to), func() string { return strings.ReplaceAll(readFile(t, log), `"two words"@`, "two words@") })
	for _, who := range withoutQuotes(to) {
		got, want := forwardedAs.ReplaceAllString(ours[who], "forwarded"), forwardedAs.ReplaceAllString(asOurs(theirs[who]), "forwarded")
		if got, want = strings.ReplaceAll(got, ourDir, "DIR"), strings.ReplaceAll(want, theirDir, "DIR"); !sameOutcome(got, want) {
			t.Errorf("%s:\n  ours    %s\n  Postfix %s", who, got, want)
		}
	}
	waitPeerMail(t, p, alice, 2)
	b.waitMail(t, alice, 2)
	eventually(t, func() (err error) { // what goes by the queue once more comes after the lines
		want, got := tree(t, theirDir), tree(t, ourDir)
		for name := range want {
			if got[name] != want[name] {
				err = errors.Join(err, fmt.Errorf("%s:\n--- ours\n%s\n--- Postfix\n%s", name, got[name], want[name]))
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				err = errors.Join(err, fmt.Errorf("%s: Postfix has no such file:\n%s", name, got[name]))
			}
		}
		return err
	})
}

// sameOutcome says that we have one line with what Postfix says in the first of several.
func sameOutcome(ours, theirs string) bool {
	head, text, _ := strings.Cut(theirs, " (")
	ourHead, ourText, _ := strings.Cut(ours, " (")
	return head == ourHead && strings.Contains(ourText, strings.TrimSuffix(text, ")"))
}

func withoutQuotes(to []string) (out []string) {
	for _, who := range to {
		out = append(out, strings.ReplaceAll(who, `"`, ""))
	}
	return out
}

func startPostfixLocal(t *testing.T, dir string) *peers.Postfix {
	t.Helper()
	return startPostfixLocalWith(t, dir, "")
}

// startPostfixLocalWith is startPostfixLocal with more lines of main.cf, and a service keep.
func startPostfixLocalWith(t *testing.T, dir, main string) *peers.Postfix {
	t.Helper()
	p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.example.test", Accounts: []peers.Account{{Address: alice}},
		Main: "enable_long_queue_ids = yes\nmydestination = local.example\nmyorigin = local.example\nalias_maps = hash:" + dir + "/aliases\nlocal_recipient_maps =\nmail_spool_directory = " + dir + "/spool\n" +
			"forward_path = " + dir + "/forward/$user${recipient_delimiter}${extension}, " + dir + "/forward/$user\n" + main,
		Master: "local unix - n n - 10 local\nlmtp unix - - n - - lmtp\nkeep unix - n n - - pipe flags=R user=nobody argv=" + dir + "/outcome keep kept ${recipient} ${sender} ${nexthop}\n",
	})
	must(t, err)
	if code, out, errs, err := p.Run(testContext(t), "", "postalias", "hash:"+dir+"/aliases"); code != 0 || err != nil {
		t.Fatal(code, out, errs, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log ends:\n%s", p.LogTail(12000))
		}
		p.Stop()
	})
	return p
}

// tree are the files that deliveries have made, with owners; those of a Maildir are one.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string][]string{}
	for _, top := range []string{"got", "spool"} {
		must(t, filepath.WalkDir(filepath.Join(dir, top), func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && (e.IsDir() || strings.HasSuffix(path, ".lock") || filepath.Base(filepath.Dir(path)) == "tmp") {
				return nil // what is being delivered
			}
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(dir, path)
			if base := filepath.Base(filepath.Dir(path)); base == "new" || base == "cur" {
				name = filepath.Dir(name)
			}
			text := mailConfig.ReplaceAllString(withoutTimes(readFile(t, path)), "")
			text = regexp.MustCompile(`(?m)^(PWD=|\d+ ?$|/).*$`).ReplaceAllString(text, "")
			text = fromDate.ReplaceAllString(text, "${1}DATE")
			messages := strings.Split(beginning.ReplaceAllString("\n\n"+text, "\n\n\x00From $1@"), "\n\n\x00")
			for i := range messages { // the last one ends with the file
				messages[i] = strings.TrimSuffix(messages[i], "\n\n")
			}
			sort.Strings(messages)
			text = strings.Join(messages, "\n\n")
			info, err := e.Info()
			must(t, err)
			found[name] = append(found[name], strings.ReplaceAll(fmt.Sprintf("%v %s\n", info.Mode(), ownerOf(info))+text, dir, "DIR"))
			return nil
		}))
	}
	out := map[string]string{}
	for name, texts := range found {
		sort.Strings(texts)
		out[name] = strings.Join(texts, "\n====\n")
	}
	return out
}

// beginning is a line before a message.
var beginning = regexp.MustCompile(`\n\nFrom (s|owner-\w+|alice|man|owner-owner-\w+)@`)

func ownerOf(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
	}
	return ""
}

// TestLocalRecipients: a stranger may write to users and aliases here, and to nobody else; our own
// name is a name like others, and its postmaster is an alias.
func TestLocalRecipients(t *testing.T) {
	t.Parallel()
	b, _ := localInstance(t, withUsers(t), map[string]string{"main.trusted_networks": "[]", "smtpd.recipient_restrictions": `["reject_unauth_destination", "reject_unlisted_recipient"]`})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("250", "MAIL FROM:<s@elsewhere.example>")
	must(t, err)
	for _, c := range []struct{ to, want string }{
		{"games@local.example", "250 "}, {"Games+ext@LOCAL.example", "250 "}, {"cmd@local.example", "250 "}, {"cmd+x@local.example", "250 "}, {alice, "250 "},
		{"no-such-user@local.example", "550 5.1.1 <no-such-user@local.example>: User unknown in local recipient table"}, {"x@elsewhere.example", "554 5.7.1 "}, {"games@sub.local.example", "554 5.7.1 "},
	} {
		if got, err := s.command("", "RCPT TO:<%s>", c.to); err != nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q %v, want %q", c.to, got, err, c.want)
		}
	}
}

// TestKilledWhileACommandRuns: the message is there after the start, and the command gets it whole.
func TestKilledWhileACommandRuns(t *testing.T) {
	t.Parallel()
	dir := withUsers(t)
	script := "#!/bin/sh\ncat > $0.part.$$\nif [ ! -e DIR/got/began ]; then echo > DIR/got/began; sleep 600; fi\ncat DIR/*.part.$$ > DIR/got/whole.new; mv DIR/got/whole.new DIR/got/whole\n"
	script = strings.ReplaceAll(strings.Replace(script, "$0.part", "DIR/got/it.part", 1), "DIR/*.part", "DIR/got/it.part")
	must(t, os.WriteFile(dir+"/slow", []byte(strings.ReplaceAll(script, "DIR", dir)), 0o755))
	f, err := os.OpenFile(dir+"/aliases", os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = fmt.Fprintf(f, "slow: \"|%s/slow\"\n", dir)
	must(t, errors.Join(err, f.Close()))
	b, _ := localInstance(t, dir, nil)
	sendTo(t, b.SMTP(), alice, []string{"slow@local.example"})
	eventually(t, func() error { _, err := os.Stat(dir + "/got/began"); return err })
	b.Kill()
	b.start(t)
	eventually(t, func() error { _, err := os.Stat(dir + "/got/whole"); return err })
	b.queueEmpty(t)
	if got := readFile(t, dir+"/got/whole"); !strings.HasSuffix(got, "the end\n") || !strings.Contains(got, "Delivered-To: slow@local.example\n") {
		t.Errorf("%q", got)
	}
}
