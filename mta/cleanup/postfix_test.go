package cleanup

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/peers"
)

// The tables of the comparison: what stands behind "act" is what is done.
const (
	contentActions = `
/act ignore/      IGNORE
/act strip/       STRIP with a text
/act dunno/       DUNNO
/act ok/          OK whatever
/act rejecttext/  REJECT no thanks
/act rejectcode/  REJECT 5.7.25 no name
/act rejectlater/ REJECT 4.7.2 not now
/act rejectodd/   REJECT 2.0.0 odd
/act reject$/     reject
/act discard/     DISCARD
/act warn/        WARN a text
/act info/        INFO a text
/act pass/        PASS
/act redirect/    REDIRECT bob@example.test
/act bcc/         BCC bob@example.test
`
	headers = contentActions + `
/^(Subject): act multi(.*)/  REPLACE X-$1: $2
/act prepend/     PREPEND X-Before: act strip
/act replace/     REPLACE X-Instead: act reject
/^received: .*with esmtp/ DUNNO
/^X-Long:.*end$/ REPLACE X-Long: short
/^X-Space: y/ REPLACE X-Space: z
`
	mimes   = "/act reject/ REJECT mime\n/^(Content-[DIL]|MIME-)/ PREPEND X-Class: mime\n/^X-/ PREPEND X-Class: of a part\n/^Content-Type: act/ IGNORE\n"
	nesteds = "/act reject/ REJECT nested\n/^/ PREPEND X-Class: nested\n"
	bodies  = contentActions + `
/act prepend/     PREPEND act strip
/act replace/     REPLACE something act ignore
/act twice/       REPLACE act strip
/^(.*)swap(.*)$/  REPLACE $2 and $1
/^--/             PREPEND boundary
/^(.{5})marked/   REPLACE $1 was marked
`
)

// inspected are messages that Postfix and we look up. Each gets fields that make it whole.
func inspected() []string {
	var all []string
	words := []string{"ignore", "strip", "dunno", "ok", "rejecttext", "rejectcode", "rejectlater", "rejectodd", "reject", "discard", "warn", "info", "pass", "redirect", "bcc", "prepend", "replace", "twice", "multi\n folded\n\tmore"}
	for _, w := range words {
		all = append(all, "Subject: act "+w+"\n\nbody\n", "X-One: a\nSubject: act "+w+"\nX-Two: act strip\n\nact strip\nrest\n")
	}
	for _, w := range words[:len(words)-1] {
		all = append(all, "Subject: x\n\nbody\n\nact "+w+"\nact strip\nrest\n")
	}
	const multipart = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=xx\n\n"
	all = append(all,
		"Subject: x\n folded act strip\nX-Kept: y\n\nbody\n",
		"Subject: x\n\n",
		"Content-Disposition: inline\nContent-Length: 12\nContent-ID: <a@b>\nContent-Description: d\nContent-Language: de\nContent-Location: x\nContent-Transfer-Encoding: 8bit\n\nb\n",
		multipart+"preamble act strip\n--xx\n\nact strip\nfirst\n--xx\nContent-Type: text/plain\nX-Odd: act warn\n\nsecond\n--xx--\nepilogue\nact strip\n",
		multipart+"--xx\nContent-Type: message/rfc822\n\nSubject: inner\nFrom: a@b.test\nContent-Disposition: x\n folded\n\nact strip\ninner\n--xx--\n",
		multipart+"--xx\nContent-Type: message/rfc822\n\nSubject: act reject\n\nx\n--xx--\n",
		multipart+"--xx\nContent-Type: text/plain;\n x=act reject\n\nx\n--xx--\n",
		multipart+"--xx\nContent-Type: multipart/alternative; boundary=\"yy\"\n\n--yy\nX-In: 1\n\nact strip\na\n--yy\nX-In: 2\n\nb\n--yy--\n--xx\nContent-ID: <x>\n\n--yy\nact strip\n--xx--\n",
		multipart+"--xx\nX-In: 1\nno field act strip\nX-In: 2\n\nx\n--xx--\n",
		"MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: inner\n\nact strip\nx\n",
		// What is looked at of a body, and where counting begins anew.
		"Subject: x\n\n"+strings.Repeat("0123456789\n", 27)+"act strip\n"+"0123456789\nact strip\n",
		multipart+strings.Repeat("0123456789\n", 40)+"--xx\n\nact strip\n"+strings.Repeat("0123456789\n", 40)+"act strip\n--xx\n\n"+strings.Repeat("0123456789\n", 40)+"--xx--\nact strip\n"+strings.Repeat("0123456789\n", 40)+"act strip\n",
		"Subject: x\n\n"+strings.Repeat("x", 290)+"\nact strip\n"+strings.Repeat("x", 20)+"\nact strip\n",
		// Long lines come in pieces.
		"Subject: x\n\n12345marked"+strings.Repeat("y", 2040)+"12345marked\nlast\n",
		"Subject: x\n\nact strip"+strings.Repeat("y", 2039)+"rest\nlast\n",
		"Subject: x\n\na swap b\n  a  swapb  \nswap\n",
		"X-Long: "+strings.Repeat("a b", 1000)+"end\n\nx\n",
		"Subject: \xe4\xf6 act strip \xfc\nX-A: b\n\n\xe4\xf6\nact strip \xfc\n",
		"Subject: act BCC\nX-B: act bcc\n\nact bcc\nx\n", "Subject: act redirect\nX-B: act bcc\n\nx\n", "Subject: act discard\nX-B: act reject\n\nx\n", "Subject: act pass\nX-B: act reject\n\nact reject\n",
	)
	return all
}

// whole is a message of a case.
func wholeCase(i int, text string) string {
	return fmt.Sprintf("X-Case: %d\nFrom: a@elsewhere.test\nTo: alice@example.test\nDate: Fri, 27 Nov 2026 09:00:00 +0000\nMessage-ID: <%d@elsewhere.test>\n", i, i) + text
}

// withoutTrace is what of a message was sent.
func withoutTrace(text string) string {
	if _, rest, ok := strings.Cut(text, "X-Case: "); ok {
		return "X-Case: " + rest
	}
	return text
}

// TestContentChecksArePostfixs: the same message, with the same tables, has the same answer of Debian's
// Postfix and of ours, comes to the same mailboxes, and is the same there, octet by octet.
func TestContentChecksArePostfixs(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	cases := inspected()
	b := newBed(t, hosted(t))
	dir := peers.TempDir(t)
	name := func(table string) string { return "pcre:" + filepath.Join(dir, table) }
	for table, text := range map[string]string{"headers": headers, "mimes": mimes, "nesteds": nesteds, "bodies": bodies} {
		if err := os.WriteFile(filepath.Join(dir, table), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := configs.Default()
	c.Cleanup.HeaderChecks, c.Cleanup.MIMEHeaderChecks, c.Cleanup.NestedChecks, c.Cleanup.BodyChecks = []string{name("headers")}, []string{name("mimes")}, []string{name("nesteds")}, []string{name("bodies")}
	b.checks(c)
	b.c.o.Params.BodyChecksLimit, b.c.o.Params.LineLengthLimit = 300, 2048

	replies, ours := make([]string, len(cases)), map[string]map[string]string{"alice@example.test": {}, "bob@example.test": {}}
	for i, text := range cases {
		s := b.submission(wholeCase(i, text), "alice@example.test")
		s.Incoming = true
		replies[i] = "250"
		env, text, err := b.try(s)
		if err != nil {
			e := dsn.From(err)
			replies[i] = fmt.Sprintf("%d %s %s", e.Reply(), e.Status, e.Text)
			continue
		}
		if env.Filter != nil && env.Filter.String() == "discard:" {
			continue
		}
		for _, r := range env.Recipients {
			ours[r.Address.String()][fmt.Sprint(i)] = withoutTrace(text)
		}
	}
	p := startPostfix(t, fmt.Sprintf("header_checks = %s\nmime_header_checks = %s\nnested_header_checks = %s\nbody_checks = %s\nbody_checks_size_limit = 300\n",
		name("headers"), name("mimes"), name("nesteds"), name("bodies")))
	for i, text := range cases {
		theirs := sendTo(t, p.SMTP(), wholeCase(i, text))
		if theirs[:3] == "250" {
			theirs = "250"
		}
		if theirs != replies[i] {
			t.Errorf("%q\n  ours    %s\n  Postfix %s", text, replies[i], theirs)
		}
	}
	for to, messages := range ours {
		theirs := map[string]string{}
		for end := time.Now().Add(time.Minute); len(theirs) < len(messages) && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			files, _ := filepath.Glob(filepath.Join(p.Maildir(to), "new", "*"))
			if len(files) < len(messages) {
				continue
			}
			for _, f := range files {
				raw, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				text := withoutTrace(string(raw))
				n, _, _ := strings.Cut(strings.TrimPrefix(text, "X-Case: "), "\n")
				theirs[n] = text
			}
		}
		for i := range cases {
			n := fmt.Sprint(i)
			if theirs[n] != messages[n] {
				t.Errorf("%s, %q\n  ours    %q\n  Postfix %q", to, cases[i], strings.ReplaceAll(messages[n], "0123456789\n", "."), strings.ReplaceAll(theirs[n], "0123456789\n", "."))
			}
		}
	}
}

// checks opens the tables of c.
func (b *bed) checks(c *configs.Config) {
	b.t.Helper()
	set := tables.NewSet(tables.Options{Params: c.Lookup})
	b.t.Cleanup(func() { set.Close() })
	checks, err := OpenChecks(b.t.Context(), c, set)
	if err != nil {
		b.t.Fatal(err)
	}
	limits := c.Cleanup
	p := &b.c.o.Params
	p.BodyChecksLimit, p.HeaderSizeLimit, p.LineLengthLimit = limits.BodyChecksLimit, limits.HeaderSizeLimit, limits.LineLengthLimit
	b.c.o.Checks = checks
}

// try submits, and takes what was let pass, held or not, out of the queue.
func (b *bed) try(s *envelope.Submission) (*envelope.Envelope, string, error) {
	b.t.Helper()
	id, err := b.c.Submit(b.t.Context(), s)
	if err != nil {
		return nil, "", err
	}
	_, env, content, err := b.q.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	text := make([]byte, content.Size())
	if _, err := content.ReadAt(text, 0); err != nil {
		b.t.Fatal(err)
	}
	if err := content.Close(); err != nil {
		b.t.Fatal(err)
	}
	if err := b.q.Delete(b.t.Context(), id); err != nil {
		b.t.Fatal(err)
	}
	return env, string(text), nil
}

func startPostfix(t *testing.T, main string) *peers.Postfix {
	t.Helper()
	return startPostfixFor(t, []peers.Account{{Address: "alice@example.test"}, {Address: "bob@example.test"}}, main)
}

func startPostfixFor(t *testing.T, boxes []peers.Account, main string) *peers.Postfix {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.test", Accounts: boxes, Main: main,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log ends:\n%s", p.LogTail(3000))
		}
		p.Stop()
	})
	return p
}

// sendTo sends a message to alice, and returns the answer to it.
func sendTo(t *testing.T, server, text string) string {
	t.Helper()
	return sendFrom(t, server, "sender@elsewhere.test", []string{"alice@example.test"}, text)
}

// sendFrom is the same from a sender to recipients.
func sendFrom(t *testing.T, server, from string, to []string, text string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", server, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	reply := ""
	dialogue := []string{"", "HELO client.test\r\n", "MAIL FROM:<" + from + ">\r\n"}
	for _, r := range to {
		dialogue = append(dialogue, "RCPT TO:<"+r+">\r\n")
	}
	for _, say := range append(dialogue, "DATA\r\n", strings.ReplaceAll(text, "\n", "\r\n")+".\r\n") {
		if _, err := conn.Write([]byte(say)); err != nil {
			t.Fatal(err)
		}
		for {
			if reply, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if reply[3] != '-' {
				break
			}
		}
	}
	return strings.TrimSpace(reply)
}
