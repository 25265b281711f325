package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// odd is a message with what the flags of pipe(8) change.
const odd = "From: <alice@example.test>\r\nTo: <x@all.example>\r\nSubject: octets\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <octets@example.test>\r\n\r\n" +
	"From here on\r\n..dots\r\n..\r\nline with bare space \r\n>From there\r\n\r\nFrom \r\nthe end\r\n"

// pipeCases are transports, with the attributes of master.cf and those of a table here, and the
// recipients of one message that goes there.
var pipeCases = map[string]struct {
	theirs, ours string
	argv         []string
	from         string
	to           []string
}{
	"plain": {"", "", []string{"${sender}", "${recipient}", "${size}x", "a b", "${nexthop}"}, "alice@example.test", []string{"x@plain.example"}},
	"all": {"flags=BDFORhqu.>", "flags = \"BDFORhqu.>\"\ndestination_recipient_limit = 1\n", []string{"${sender}", "${recipient}", "-o", "${original_recipient}"}, "alice@example.test",
		[]string{"User+Ext@all.example", `"two words"@all.example`}},
	"parts": {"flags=R", "flags = \"R\"\n", []string{"${user}", "e${extension}", "${mailbox}", "${domain}", "[$recipient]", "$$x", "$(user)"}, "alice@example.test",
		[]string{"User+Ext@parts.example", "other@parts.example", `"semi;colon $HOME"@parts.example`}},
	"null":  {"flags=FR", "flags = \"FR\"\n", []string{"<${sender}>", "${sender}"}, "", []string{"x@null.example"}},
	"empty": {"flags=FRq null_sender=", "flags = \"FRq\"\nnull_sender = \"\"\n", []string{"${sender}", "-f", "<${sender}>"}, "", []string{"x@empty.example"}},
	"crlf":  {`eol=\r\n flags=F`, "eol = '\\r\\n'\nflags = \"F\"\n", []string{"x"}, "alice@example.test", []string{"x@crlf.example"}},
	"group": {"user=nobody:mail directory=/usr", "directory = \"/usr\"\n", []string{"x"}, "alice@example.test", []string{"x@group.example"}},
	"client": {"", "", []string{"${client_helo}", "${client_address}", "${client_protocol}", "[${sasl_username}]", "[${sasl_method}]", "-a ${client_helo}"}, "alice@example.test",
		[]string{"x@client.example"}},
}

// TestPipeOctetsAsPostfix: the command gets the octets, the arguments, the user and the folder
// that Debian's Postfix gives it.
func TestPipeOctetsAsPostfix(t *testing.T) {
	t.Parallel()
	theirDir, ourDir := withCommands(t), withCommands(t)
	maps, master, tables := "", "", ""
	for name, c := range pipeCases {
		maps += fmt.Sprintf(" {%s.example = %s:}", name, name)
		attributes := c.theirs
		user := "nobody"
		if name == "group" {
			user = "nobody:mail"
		} else {
			attributes = "user=nobody " + attributes
		}
		master += fmt.Sprintf("%s unix - n n - 10 pipe %s argv=%s/outcome keep %s", name, attributes, theirDir, name)
		tables += fmt.Sprintf("[[transport]]\nname = %q\nagent = \"pipe\"\ndomains = [%q]\nuser = %q\n%sargv = [%q, \"keep\", %q", name, name+".example", user, c.ours, ourDir+"/outcome", name)
		for _, a := range c.argv {
			master += " {" + a + "}"
			tables += fmt.Sprintf(", %q", a)
		}
		master += "\n"
		tables += "]\n"
	}
	limits := "all_destination_recipient_limit = 1\n"
	p := startPostfixWith(t, "mx.remote.example", limits+"enable_long_queue_ids = yes\ntransport_maps = inline:{"+maps+" }", master)
	b, _ := withTables(t, nil, tables)
	total := 0
	for _, c := range pipeCases {
		total += len(recipientGroups(c.to, strings.Contains(c.ours, "_limit"))[0])
	}
	for address, done := range map[string]func() string{p.SMTP(): func() string { return p.LogTail(1 << 20) }, b.SMTP(): nil} {
		for _, c := range pipeCases {
			for _, group := range recipientGroups(c.to, strings.Contains(c.ours, "_limit")) {
				sendTo(t, address, c.from, group)
			}
		}
		if done != nil {
			eventually(t, func() error {
				if n := strings.Count(done(), "status=sent"); n < total {
					return fmt.Errorf("%d were delivered", n)
				}
				return nil
			})
		}
	}
	b.queueEmpty(t)
	files, err := filepath.Glob(theirDir + "/got/*")
	must(t, err)
	if want := 4 * len(pipeCases); len(files) < want {
		t.Errorf("Postfix made %d files, want %d", len(files), want)
	}
	for _, theirs := range files {
		name := filepath.Base(theirs)
		got, want := withoutTimes(readFile(t, filepath.Join(ourDir, "got", name))), withoutTimes(readFile(t, theirs))
		switch filepath.Ext(name) {
		case ".args":
			want = sizes.ReplaceAllString(strings.Replace(want, theirDir, ourDir, -1), "[SIZEx]")
			got = sizes.ReplaceAllString(got, "[SIZEx]")
		case ".who":
			want = strings.Replace(want, filepath.Join(p.Dir(), "queue"), "/", 1)
		case ".env":
			want = mailConfig.ReplaceAllString(want, "")
			got = mailConfig.ReplaceAllString(got, "")
			want = strings.Replace(want, "PWD="+filepath.Join(p.Dir(), "queue"), "PWD=/", 1)
		}
		if got != want {
			t.Errorf("%s:\n--- ours\n%s\n--- Postfix\n%s", name, got, want)
		}
	}
}

var (
	sizes      = regexp.MustCompile(`\[\d+x\]`)
	mailConfig = regexp.MustCompile(`(MAIL_CONFIG|TOASTMASTER_CONFIG|LANG|TZ)=.*\n`)
	received   = regexp.MustCompile(`(?m)^Received: .*\n?\r?(\n?[\t ].*\r?\n)*`)
	fromDate   = regexp.MustCompile(`(?m)^(>?From .* )\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}`)
)

// withoutTimes is a message without what differs by time and host.
func withoutTimes(text string) string {
	return fromDate.ReplaceAllString(received.ReplaceAllString(text, ""), "${1}DATE")
}

// recipientGroups are the recipients of each transaction: the file that the command writes
// is of the last one, so they are apart where each is a delivery.
func recipientGroups(to []string, apart bool) (groups [][]string) {
	if !apart {
		return [][]string{to}
	}
	return [][]string{to[len(to)-1:]}
}

// sendTo sends odd by SMTP.
func sendTo(t *testing.T, address, from string, to []string) {
	t.Helper()
	s, err := dialSMTP(address, "EHLO")
	must(t, err)
	defer s.Close()
	steps := [][2]string{{"250", "MAIL FROM:<" + from + ">"}}
	for _, who := range to {
		steps = append(steps, [2]string{"250", "RCPT TO:<" + who + ">"})
	}
	for _, step := range append(steps, [2]string{"354", "DATA"}, [2]string{"250", odd + "."}) {
		_, err := s.command(step[0], "%s", step[1])
		must(t, err)
	}
}

// TestHostileRecipients: what a stranger writes is an argument and nothing else, or refused.
func TestHostileRecipients(t *testing.T) {
	t.Parallel()
	dir := withCommands(t)
	b, log := withTables(t, nil, fmt.Sprintf("[[transport]]\nname = \"run\"\nagent = \"pipe\"\ndomains = [\"run.example\"]\nuser = \"nobody\"\nargv = [%q, \"keep\", \"it\", \"${user}\", \"x${extension}\", \"${recipient}\"]\n", dir+"/outcome"))
	for _, c := range []struct{ to, want string }{
		{`"-rf"@run.example`, "bounced (bad address syntax)"},
		{`-rf@run.example`, "bounced (bad address syntax)"},
		{`"-rf /"@run.example`, "bounced (bad address syntax)"},
		{`"a;touch /tmp/x"@run.example`, "[a;touch /tmp/x]\n[x]\n[a;touch /tmp/x@run.example]\n"},
		{`"$(touch x)"@run.example`, "[$(touch x)]\n[x]\n[$(touch x)@run.example]\n"},
		{"\"`id`\"@run.example", "[`id`]\n[x]\n[`id`@run.example]\n"},
		{`"a|b>c<d&"@run.example`, "[a|b>c<d&]\n[x]\n[a|b>c<d&@run.example]\n"},
		{`"${sender}"@run.example`, "[${sender}]\n[x]\n[${sender}@run.example]\n"},
		{`u+-rf@run.example`, "[u]\n[x-rf]\n[u+-rf@run.example]\n"},
		{`"q\"\\uote"@run.example`, "[q\"\\uote]\n[x]\n[q\"\\uote@run.example]\n"},
		{`"*"@run.example`, "[*]\n[x]\n[*@run.example]\n"},
	} {
		before := len(attempts(readFile(t, log)))
		sendTo(t, b.SMTP(), alice, []string{c.to})
		b.queueEmpty(t)
		if strings.HasPrefix(c.want, "bounced") {
			if text := readFile(t, log); !strings.Contains(text, "status="+c.want) || len(attempts(text)) == before && before == 0 {
				t.Errorf("%s: %s", c.to, text)
			}
			continue
		}
		if got := readFile(t, dir+"/got/it.args"); got != c.want {
			t.Errorf("%s: %q, want %q", c.to, got, c.want)
		}
		must(t, os.Remove(dir+"/got/it.args"))
	}
	if n := strings.Count(readFile(t, log), "dsn=5.1.3, status=bounced (bad address syntax)"); n != 3 {
		t.Errorf("%d were refused", n)
	}
}
