package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// localSides are Debian's Postfix and ours with the users and aliases of withUsers, each with a Dovecot
// behind it whose users are known by LMTP.
type localSides struct {
	p                  *peers.Postfix
	b                  *box
	log                string
	theirDir, ourDir   string
	theirNext, ourNext *peers.Dovecot
}

// passedUsers are those that the Dovecot has.
func passedUsers() []peers.Account {
	var all []peers.Account
	for _, name := range []string{"games", "ghost", "man"} {
		all = append(all, peers.Account{Address: name + "@local.example", Password: "x"})
	}
	return all
}

// startLocalSides starts them: main and params may have %[1]s for the folder of each, and %[2]s for its Dovecot.
func startLocalSides(t *testing.T, aliases, main string, params map[string]string, more string) *localSides {
	t.Helper()
	s := &localSides{theirDir: withUsers(t), ourDir: withUsers(t)}
	next := func() *peers.Dovecot {
		d, err := peers.StartDovecot(testContext(t), peers.DovecotOptions{Dir: peers.TempDir(t), Accounts: passedUsers()})
		must(t, err)
		t.Cleanup(d.Stop)
		return d
	}
	if strings.Contains(main, "NEXT") {
		s.theirNext, s.ourNext = next(), next()
	}
	for _, dir := range []string{s.theirDir, s.ourDir} {
		f, err := os.OpenFile(dir+"/aliases", os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString(strings.ReplaceAll(aliases, "DIR", dir))
		must(t, err)
		must(t, f.Close())
	}
	fill := func(text, dir string, d *peers.Dovecot) string {
		if text = strings.ReplaceAll(text, "DIR", dir); d == nil {
			return text
		}
		return strings.ReplaceAll(text, "NEXT", "inet:"+d.LMTP())
	}
	s.p = startPostfixLocalWith(t, s.theirDir, fill(main, s.theirDir, s.theirNext))
	all := map[string]string{}
	for name, value := range params {
		all[name] = fill(value, s.ourDir, s.ourNext)
	}
	s.b, s.log = localInstanceWith(t, s.ourDir, all, fill(more, s.ourDir, s.ourNext))
	return s
}

// of our log's lines the agent is local, which has handed the mail on; replies of a Dovecot have an ID.
var (
	agentName = regexp.MustCompile(`^\w+ relay=`)
	savedAs   = regexp.MustCompile(`<([\w+]+@[\w.]+)> \S+ Saved`)
	saidBy    = regexp.MustCompile(`\([Hh]ost \S+ said: (.*?) \(in reply to .*`)
	anyPort   = regexp.MustCompile(`127\.0\.0\.1(\[127\.0\.0\.1\])?:\d+`)
)

// compare sends to each and compares outcomes and files.
func (s *localSides) compare(t *testing.T, to ...string) {
	t.Helper()
	for i, who := range to {
		to[i] = who + "@local.example"
	}
	for _, who := range to {
		sendTo(t, s.p.SMTP(), "s@elsewhere.example", []string{who})
		sendTo(t, s.b.SMTP(), "s@elsewhere.example", []string{who})
	}
	theirs := waitAttempts(t, to, func() string { return namedAlias(s.p.LogTail(1 << 20)) })
	ours := waitAttempts(t, to, func() string { return readFile(t, s.log) })
	plain := func(line, dir string) string {
		line = agentName.ReplaceAllString(strings.ReplaceAll(asOurs(line), dir, "DIR"), "relay=")
		line = savedAs.ReplaceAllString(anyPort.ReplaceAllString(line, "NEXT"), "<$1> ID Saved")
		line = saidBy.ReplaceAllString(line, "(host said: $1)")
		return forwardedAs.ReplaceAllString(line, "forwarded")
	}
	for _, who := range to {
		got, want := plain(ours[who], s.ourDir), plain(theirs[who], s.theirDir)
		if strings.Contains(got, ", delivered to ") || who == "news@local.example" && strings.HasPrefix(got, "relay=local") { // one line for several parts, whose relay is ours
			want = strings.Replace(want, "relay=NEXT", "relay=local", 1)
		}
		if !sameOutcome(got, want) {
			t.Errorf("%s:\n  ours    %s\n  Postfix %s", who, got, want)
		}
	}
	want, got := map[string]string{}, map[string]string{}
	eventually(t, func() error {
		want, got = tree(t, s.theirDir), tree(t, s.ourDir)
		for _, a := range passedUsers() {
			if s.ourNext == nil {
				break
			}
			want[a.Address], got[a.Address] = passedMail(t, s.theirNext, a.Address), passedMail(t, s.ourNext, a.Address)
		}
		for name := range want {
			if got[name] != want[name] {
				return fmt.Errorf("%s:\n--- ours\n%s\n--- Postfix\n%s", name, got[name], want[name])
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				return fmt.Errorf("%s: Postfix has no such file:\n%s", name, got[name])
			}
		}
		return nil
	})
}

// passedMail is what a Dovecot has for an address, without what differs.
func passedMail(t *testing.T, d *peers.Dovecot, address string) string {
	t.Helper()
	var all []string
	for _, f := range maildirFiles(t, d.Maildir(address)) {
		text := readFile(t, f)
		_, text, _ = strings.Cut(text, "From: <alice@example.test>\n")
		all = append(all, text)
	}
	return strings.Join(all, "\n====\n")
}

// TestMailboxTransportAsPostfix: mailboxes, and names that nobody has, are handed to a Dovecot by LMTP, to a command, to reasons to
// send mail back, as Debian's Postfix does, behind aliases and .forward files.
func TestMailboxTransportAsPostfix(t *testing.T) {
	t.Parallel()
	s := startLocalSides(t, "pair: games, man\nowner-list: man\nlist: games, ghost\n",
		"mailbox_transport_maps = inline:{ {games = lmtp:NEXT} {uucp = keep:} {backup = error:5.7.1 no backup} {bin = nowhere:} }\n"+
			"fallback_transport_maps = inline:{ {gone = error:5.1.6 moved away} {later = retry:4.2.1 come back} }\nfallback_transport = lmtp:NEXT\n",
		map[string]string{
			"local.mailbox_transport_maps":  `["inline:{ {games = lmtp:NEXT} {uucp = keep:} {backup = error:5.7.1 no backup} {bin = nowhere:} }"]`,
			"local.fallback_transport_maps": `["inline:{ {gone = error:5.1.6 moved away} {later = retry:4.2.1 come back} }"]`,
			"local.fallback_transport":      `"lmtp:NEXT"`,
		}, "\n[[transport]]\nname = \"keep\"\nagent = \"pipe\"\nuser = \"nobody\"\nargv = [\"DIR/outcome\", \"keep\", \"kept\", \"${recipient}\", \"${sender}\", \"${nexthop}\"]\nflags = \"R\"\n")
	s.compare(t, "games", "games+ext", "man", "uucp", "backup", "gone", "later", "ghost", "no-such-user", "pair", "list", "news", "cmd")
	// A name of no transport waits, whoever wrote it.
	sendTo(t, s.b.SMTP(), "s@elsewhere.example", []string{"bin@local.example"})
	if got := waitAttempts(t, []string{"bin@local.example"}, func() string { return readFile(t, s.log) })["bin@local.example"]; !strings.Contains(got, "dsn=4.3.5 status=deferred (mail transport unavailable)") {
		t.Error(got)
	}
}

// TestMailboxTransportForAll: mailbox_transport has everybody's mailbox, but not what aliases and .forward files say.
func TestMailboxTransportForAll(t *testing.T) {
	t.Parallel()
	s := startLocalSides(t, "", "mailbox_transport = lmtp:NEXT\n", map[string]string{"local.mailbox_transport": `"lmtp:NEXT"`}, "")
	s.compare(t, "games", "man", "ghost", "uucp", "no-such-user", "cmd", "plain", "news", "games+box")
}

// TestLocalParametersAsPostfix: parameters that few hosts set do what Debian's Postfix does by them.
func TestLocalParametersAsPostfix(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		main    string
		params  map[string]string
		aliases string
		to      []string
	}{
		"forward": {"prepend_delivered_header = forward\nexpand_owner_alias = yes\n", map[string]string{
			"local.prepend_delivered_header": `["forward"]`, "local.expand_owner_alias": "true",
		}, "", []string{"cmd", "file", "md", "games", "fwd", "incl", "members", "owned"}},
		"commands": {"prepend_delivered_header = command, file\nlocal_command_shell = /bin/sh -c\nstrict_mailbox_ownership = no\nrequire_home_directory = yes\n", map[string]string{
			"local.prepend_delivered_header": `["command", "file"]`, "local.local_command_shell": `"/bin/sh -c"`, "local.strict_mailbox_ownership": "false", "local.require_home_directory": "true",
		}, "", []string{"cmd", "games", "incl", "fail67", "missing", "backup", "list"}},
		"owners": {"owner_request_special = no\n", map[string]string{"local.owner_request_special": "false"}, "", []string{"members", "owner-members", "backup"}},
		"minus": {"recipient_delimiter = -\nreset_owner_alias = yes\n", map[string]string{"main.recipient_delimiter": `"-"`, "local.reset_owner_alias": "true"},
			"games-request: man\nlists: games, man\nowner-lists: man\nowner: bin\n", []string{"games-ext", "games-request", "lists", "owner-lists", "owner-other", "members"}},
		"filters": {"command_expansion_filter = abcdefghijklmnopqrstuvwxyz\nforward_expansion_filter = abcdefghijklmnopqrstuvwxyz/-0123456789\nmailbox_command_maps = inline:{ {man = DIR/outcome keep man} }\n", map[string]string{
			"local.command_expansion_filter": `"abcdefghijklmnopqrstuvwxyz"`, "local.forward_expansion_filter": `"abcdefghijklmnopqrstuvwxyz/-0123456789"`, "local.mailbox_command_maps": `["inline:{ {man = DIR/outcome keep man} }"]`,
		}, "", []string{"cmd", "ext+more", "games+box", "news", "man"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startLocalSides(t, c.aliases, c.main, c.params, "")
			if name == "commands" || name == "owners" {
				for _, dir := range []string{s.theirDir, s.ourDir} { // another user's mailbox, which backup may write to
					path := filepath.Join(dir, "spool", "backup")
					must(t, os.WriteFile(path, nil, 0o666))
					must(t, os.Chmod(path, 0o666))
					uid, gid := idsOfUser(t, "games")
					must(t, os.Chown(path, uid, gid))
				}
			}
			s.compare(t, c.to...)
		})
	}
}

// TestStatusFilterAsPostfix: what stands in a table takes the place of a result, in the log and for the fate of the mail; a failure stays one,
// and a success, as with Debian's Postfix.
func TestStatusFilterAsPostfix(t *testing.T) {
	t.Parallel()
	const filter = `{/^(2\S+ delivered to file).+/ $1} {/^5(\.1\.1 unknown user: "later.*)/ 4$1} {/^4(\.3\.0 temporary failure)/ 5$1 for good} {/^(2\S+) delivered to mailbox/ 5.0.0 $1} {/^2\S+ delivered to maildir/ 2.9.9}`
	s := startLocalSides(t, "", "local_delivery_status_filter = pcre:{ "+strings.ReplaceAll(filter, "$", "$$")+" }\n",
		map[string]string{"qmgr.default_delivery_status_filter": "['pcre:{ " + filter + " }']"}, "")
	s.compare(t, "file", "later-user", "no-such-user", "fail75", "games", "md", "cmd")
}
