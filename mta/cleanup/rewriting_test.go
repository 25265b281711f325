package cleanup

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/peers"
)

// rewritten are the fields of headers whose addresses Postfix and we rewrite.
func rewritten() []string {
	fields := []string{
		"To: bob", "To: bob, carl@host, dora@host.", "To: <bob>", "TO: Bob <bob>", "to : bob", "To:bob", "From: bob", "From: \"Bob B.\" <bob@sub.old.test>", "Sender: bob@sub.old.test (Bob)",
		"Cc: John Q. Public <john@old.test>,\n  (a comment) Jane <jane@sub.old.test> (another)", "Reply-To: a@b, c@d.old.test; e", "To: team: a, b@old.test;, c", "To: undisclosed-recipients:;", "To: team: ;, bob",
		"To: John Doe", "To: =?utf-8?Q?J=C3=B6rg?= <joerg>, =?utf-8?B?WA==?= =?utf-8?B?WA==?= <x@old.test>", "To: \"a b\"@old.test, a\\ b@old.test", "To: <@relay.test:bob@old.test>, @x.test:carl",
		"To: host!bob, a!b!c, host!bob@old.test", "To: bob%host, bob%host@old.test, a%b%c", "To: bob@[192.0.2.1], bob@[IPv6:2001:db8::1]", "To: bob@", "To: @", "To:", "To: ,", "To: bob,", "To: ,bob", "To: <>", "To: bob@old..test", "To: bob @ host",
		"To: " + strings.Repeat("a", 30) + "@old.test, " + strings.Repeat("b", 30) + "@old.test, " + strings.Repeat("c", 30) + "@old.test,\n " + strings.Repeat("d", 60) + "@old.test",
		"To: " + strings.Repeat("name ", 20) + "<bob>, " + strings.Repeat("word ", 15) + "<carl>", "To: \"quoted, with; things: <in it>\" <bob>, bob \"x\"", "To: Bob <bob> trailing", "To: \"unclosed <bob>", "To: (unclosed bob", "To: bob (comment\n with a line) , carl",
		"Resent-From: bob", "Resent-To: bob", "Resent-Cc: bob", "Resent-Sender: bob", "Resent-Reply-To: bob@sub.old.test", "Errors-To: bob@sub.old.test", "Return-Receipt-To: bob", "Disposition-Notification-To: bob", "Mail-Followup-To: bob", "Apparently-To: bob",
		"X-To: bob", "Subject: bob@old.test, x", "Delivered-To: bob@sub.old.test", "List-Post: <mailto:bob@old.test>",
		"To: user@old.test, user+ext@old.test, USER+Ext@OLD.test, once@old.test, twice@old.test, self@old.test", "From: user@old.test", "Cc: user+ext@old.test", "To: any@whole.test, any+x@whole.test", "To: any@one.test, any+x@one.test", "To: plain, plain+x, plain@mx.test",
		"To: listed@old.test", "To: named@old.test", "To: snd@old.test, rcp@old.test", "From: snd@old.test, rcp@old.test", "To: \"q q\"@whole.test, \"q q+x\"@whole.test, nodomain@old.test",
		"To: root@sub.old.test, bob@deep.sub.old.test, bob@keep.old.test, bob@x.keep.old.test, bob@old.test, bob@xold.test", "From: root@sub.old.test", "To: a|b, a.b.c, .a, a., \"a\".\"b\"",
	}
	for i, f := range fields {
		fields[i] = f + "\n"
	}
	return append(fields, "From: short@dest.test\nTo: short+x@dest.test, short@mx.test, short@elsewhere.test, short\n", "To: bob\nCc: carl@sub.old.test\nTo: dora\n", "To: \"x\"@old.test\n", "To: \"x y\"@old.test, .x@old.test\n")
}

const canonicals = "inline:{ {user@old.test=first.last@new.test}, {once@old.test=twice@old.test}, {twice@old.test=third@new.test}, {self@old.test=Self@old.test}, {@whole.test=@other.test}, " +
	"{@one.test=one@new.test}, {plain=plainly@new.test}, {listed@old.test=a@new.test, b@new.test}, {named@old.test=A Name <named@new.test>}, {nodomain@old.test=bare}, {alias@example.test=bob@example.test}, {alice+x@example.test=bob@example.test}, {sender@whole.test=real@new.test} }"

// a rewriting setup is that of Postfix, and ours.
type rewritingSetup struct {
	name, main string
	rewrite    envelope.Rewrite
	set        func(c *configs.Config)
}

func rewritingSetups() []rewritingSetup {
	everything := func(r *configs.Rewriting) {
		r.CanonicalMaps = []string{canonicals}
		r.SenderCanonicalMaps = []string{"inline:{ {snd@old.test=sender@new.test}, {s@elsewhere.test=known@new.test} }"}
		r.RecipientCanonicalMaps = []string{"inline:{ {rcp@old.test=rcpt@new.test}, {carl@example.test=bob@example.test} }"}
		r.MasqueradeDomains, r.MasqueradeExceptions = []string{"!keep.old.test", "old.test", "elsewhere.test"}, []string{"root"}
	}
	const all = "canonical_maps = " + canonicals + "\nsender_canonical_maps = inline:{ {snd@old.test=sender@new.test}, {s@elsewhere.test=known@new.test} }\nrecipient_canonical_maps = inline:{ {rcp@old.test=rcpt@new.test}, {carl@example.test=bob@example.test} }\n" +
		"masquerade_domains = !keep.old.test old.test elsewhere.test\nmasquerade_exceptions = root\n"
	return []rewritingSetup{
		{"defaults", "swap_bangpath = no\nallow_percent_hack = no\n", envelope.RewriteLocal, func(*configs.Config) {}},
		{"every form", "append_dot_mydomain = yes\nmydomain = test\n", envelope.RewriteLocal, func(c *configs.Config) {
			c.Cleanup.Rewriting.AppendDotMyDomain, c.Cleanup.Rewriting.SwapBangpath, c.Cleanup.Rewriting.PercentHack = true, true, true
		}},
		{"maps", all + "swap_bangpath = no\nallow_percent_hack = no\n", envelope.RewriteLocal, func(c *configs.Config) { everything(&c.Cleanup.Rewriting) }},
		{"no extensions, classes", all + "propagate_unmatched_extensions =\ncanonical_classes = header_recipient\nmasquerade_classes = envelope_recipient, header_sender\nsender_canonical_classes = header_sender\n", envelope.RewriteLocal, func(c *configs.Config) {
			r := &c.Cleanup.Rewriting
			everything(r)
			r.SwapBangpath, r.PercentHack = true, true
			r.PropagateExtensions, r.CanonicalClasses = nil, []string{configs.HeaderRecipient}
			r.MasqueradeClasses, r.SenderCanonicalClasses = []string{configs.EnvelopeRecipient, configs.HeaderSender}, []string{configs.HeaderSender}
		}},
		{"of another host", all + "local_header_rewrite_clients =\n", envelope.RewriteRemote, func(c *configs.Config) { everything(&c.Cleanup.Rewriting) }},
		{"users by their names", "mydestination = dest.test\ncanonical_maps = inline:{ {short=long@new.test}, {s@elsewhere.test=s@Dest.Test}, {s=known@new.test} }\nswap_bangpath = no\nallow_percent_hack = no\n", envelope.RewriteLocal, func(c *configs.Config) {
			c.Rewrite.MyDestination = []string{"dest.test"}
			c.Cleanup.Rewriting.CanonicalMaps = []string{"inline:{ {short=long@new.test}, {s@elsewhere.test=s@Dest.Test}, {s=known@new.test} }"}
		}},
		{"with a domain of their own", all + "local_header_rewrite_clients =\nremote_header_rewrite_domain = remote.test\nappend_dot_mydomain = yes\nallow_percent_hack = no\nswap_bangpath = no\n", envelope.RewriteRemote, func(c *configs.Config) {
			everything(&c.Cleanup.Rewriting)
			c.Cleanup.Rewriting.RemoteHeaderDomain, c.Cleanup.Rewriting.AppendDotMyDomain = "remote.test", true
		}},
	}
}

// rewritingMails are senders and recipients whose envelope is rewritten.
var rewritingMails = [][2]string{
	{"sender@elsewhere.test", "alice@example.test"}, {"sender@host.elsewhere.test", "alias@example.test"}, {"root@host.elsewhere.test", "alias+x@example.test"}, {"s@elsewhere.test", "carl@example.test"},
	{"", "alice+x@example.test"}, {"sender@whole.test", "alice+y@example.test"}, {"user+e@old.test", "alice@example.test"},
}

// rewriting opens the maps of c.
func (b *bed) rewriting(c *configs.Config) {
	b.t.Helper()
	set := tables.NewSet(tables.Options{Params: c.Lookup})
	b.t.Cleanup(func() { set.Close() })
	var err error
	if b.c.o.Addresses, err = OpenAddresses(b.t.Context(), c, set); err != nil {
		b.t.Fatal(err)
	}
}

// TestRewritingIsPostfixs: the addresses of the same message become the same with Debian's Postfix and
// with ours, in the envelope and, octet by octet, in the header.
func TestRewritingIsPostfixs(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	boxes := []peers.Account{{Address: "alice@example.test"}, {Address: "bob@example.test"}, {Address: "carl@example.test"}, {Address: "alias@example.test"}}
	for _, setup := range rewritingSetups() {
		t.Run(setup.name, func(t *testing.T) {
			b := newBed(t, hosted(t))
			c := configs.Default()
			c.Main.Hostname = "mx.test"
			setup.set(c)
			b.rewriting(c)
			b.c.drop = map[string]bool{} // as below
			p := startPostfixFor(t, boxes, "recipient_delimiter = +\nmyorigin = mx.test\nmessage_drop_headers =\nsmtpd_recipient_restrictions = permit_mynetworks\nsmtpd_reject_unlisted_recipient = no\n"+setup.main)
			ours := map[string]string{}
			n := 0
			send := func(from, to, fields string) {
				text := fmt.Sprintf("X-Case: %d\n%sDate: Fri, 27 Nov 2026 09:00:00 +0000\nMessage-ID: <%d@elsewhere.test>\n\nbody\n", n, fields, n)
				if !strings.Contains(strings.ToLower("\n"+fields), "\nfrom:") {
					text = strings.Replace(text, "Date:", "From: a@elsewhere.test\nDate:", 1)
				}
				s := b.submission(text, to)
				s.Incoming, s.Rewrite = true, setup.rewrite
				if s.Envelope.Sender = s.Envelope.Redirect; from != "" {
					s.Envelope.Sender = address(t, from)
				}
				env, got, err := b.try(s)
				if err != nil {
					t.Errorf("%q: %v", fields, err)
					return
				}
				base, _ := env.Recipients[0].Address.SplitExtension("+")
				ours[fmt.Sprint(n)] = env.Sender.Path() + " " + base.String() + "\n" + withoutTrace(got)
				if reply := sendFrom(t, p.SMTP(), from, []string{to}, text); !strings.HasPrefix(reply, "250") {
					t.Errorf("%q: %s", fields, reply)
				}
				n++
			}
			for _, fields := range rewritten() {
				if setup.rewrite == envelope.RewriteRemote && strings.HasPrefix(fields, "to :") {
					continue // Postfix takes the space out of every field
				}
				send("sender@elsewhere.test", "alice@example.test", fields)
			}
			for _, mail := range rewritingMails {
				send(mail[0], mail[1], "To: x@elsewhere.test\n")
			}
			theirs := delivered(t, p, boxes, n)
			for i := range n {
				if key := fmt.Sprint(i); ours[key] != theirs[key] {
					t.Errorf("ours    %q\nPostfix %q", ours[key], theirs[key])
				}
			}
		})
	}
}

// resent are fields that Postfix adds to a message that was sent again.
var resent = regexp.MustCompile(`(?m)^Resent-(Message-Id: <20\d+\..*|Date: .*|From: sender@elsewhere.test)\n`)

// delivered waits for n messages, each by its number: sender, mailbox, and text.
func delivered(t *testing.T, p *peers.Postfix, boxes []peers.Account, n int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for end := time.Now().Add(time.Minute); len(all) < n && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, box := range boxes {
			files, _ := filepath.Glob(filepath.Join(p.Maildir(box.Address), "new", "*"))
			for _, f := range files {
				raw, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				path, _, _ := strings.Cut(strings.TrimPrefix(string(raw), "Return-Path: "), "\n")
				text := resent.ReplaceAllString(withoutTrace(string(raw)), "")
				number, _, _ := strings.Cut(strings.TrimPrefix(text, "X-Case: "), "\n")
				all[number] = path + " " + box.Address + "\n" + text
			}
		}
	}
	return all
}

// TestMapsWithoutAnAnswer refuse the message for now: nothing leaves with an address that it should
// not have, and nothing is kept.
func TestMapsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]dsn.Status{
		"fail:x": dsn.MailSystem, "static:()": dsn.Misconfigured, "inline:{ {sender@elsewhere.test=b@x.test}, {b@x.test=sender@elsewhere.test} }": dsn.Misconfigured,
	} {
		for _, class := range []string{configs.EnvelopeSender, configs.HeaderSender} {
			b := newBed(t, hosted(t))
			c := configs.Default()
			c.Cleanup.Rewriting.CanonicalMaps, c.Cleanup.Rewriting.CanonicalClasses = []string{table}, []string{class}
			b.rewriting(c)
			s := b.submission("From: sender@elsewhere.test\n\nx\n", "alice@example.test")
			s.Rewrite = envelope.RewriteLocal
			if _, _, err := b.try(s); dsn.From(err) == nil || dsn.From(err).Status != want {
				t.Errorf("%s, %s: %v", table, class, err)
			}
		}
	}
}

// TestRewritingInAFile: a message that does not fit into memory is rewritten like one that does, and
// a header with more than the limit of words stays as it is.
func TestRewritingInAFile(t *testing.T) {
	t.Parallel()
	const head = "From: bob\nX-Kept: a\nTo: carl, dora@elsewhere.test\nSubject: x\n"
	for _, body := range []string{"\nshort\n", "\n" + strings.Repeat("long line of a body\n", 2000)} {
		b := newBed(t, hosted(t))
		c := configs.Default()
		c.Main.Hostname = "mx.test"
		b.rewriting(c)
		for _, tokens := range []int{100, 5} {
			b.c.o.Addresses.tokens = tokens
			s := b.submission(head+body, "alice@example.test")
			s.Rewrite = envelope.RewriteLocal
			_, got, err := b.try(s)
			if err != nil {
				t.Fatal(err)
			}
			want := "From: bob@mx.test\nX-Kept: a\nTo: carl@mx.test, dora@elsewhere.test\nSubject: x\n" + body
			if tokens == 5 {
				want = strings.Replace(want, "carl@mx.test", "carl", 1)
			}
			if !strings.HasSuffix(got, want) {
				t.Errorf("%d octets: %.300q", len(body), got)
			}
		}
	}
}
