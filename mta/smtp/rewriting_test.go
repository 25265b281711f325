package smtp

import (
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// outgoingRig has the tables of what, which are opened.
func outgoingRig(t *testing.T, port int, change func(*configs.SMTP, *Options)) *rig {
	t.Helper()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	return newRig(t, port, one(), func(c *configs.SMTP, o *Options) {
		o.Tables, o.Cleanup, o.Delimiters = set, configs.Default().Cleanup, "+"
		o.Cleanup.Rewriting.PropagateExtensions = []string{"generic"}
		o.Own = func(d string) bool { return d == "mail.example.test" }
		change(c, o)
	})
}

// TestOutgoingMailIsRewritten: envelope, header and body leave as the tables want it, with the size that they have then; what is
// in a file, too, and what is converted for a host without 8BITMIME.
func TestOutgoingMailIsRewritten(t *testing.T) {
	t.Parallel()
	const text = "Received: from x\nFrom: S <s+tag@example.test>\nTo: old@remote.test, other@far.test\nX-Secret: x\nX-Old: y\nSubject: hello\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nsecret \u00fc\ndrop\ndrop\nkept\n--b\nContent-Type: message/rfc822\n\nFrom: s@example.test\nX-Nested: n\n\nx\n--b--\n"
	const want = "Received: from x\nFrom: S <out+tag@public.test>\nTo: new@remote.test, other@far.test\nX-New: y\nX-Before: z\nSubject: hello\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\npublic \u00fc\nkept\n--b\nContent-Type: message/rfc822\n\nFrom: s@example.test\n\nx\n--b--\n"
	for _, ehlo := range [][]string{{"PIPELINING", "8BITMIME", "SIZE 100000"}, {"8BITMIME", "CHUNKING"}, {}} {
		for _, file := range []bool{false, true} {
			p := newPeer(t, "127.0.0.1:0")
			p.ehlo = ehlo
			r := outgoingRig(t, p.start().port, func(c *configs.SMTP, _ *Options) {
				c.GenericMaps = []string{"inline:{ {s@example.test=out@public.test}, {old@remote.test=new@remote.test} }"}
				c.HeaderChecks = []string{"pcre:{ {/^X-Secret:/ IGNORE}, {/^X-Old: (.*)/ REPLACE X-New: $1}, {/^Subject:/ PREPEND X-Before: z}, {/^Received:/ WARN seen} }"}
				c.NestedChecks = []string{"pcre:{ {/^X-Nested:/ STRIP it} }"}
				c.BodyChecks = []string{"pcre:{ {/^secret(.*)/ REPLACE public$1}, {/^drop/ IGNORE}, {/^kept/ DUNNO} }"}
			})
			q := request("remote.test", text, "old@remote.test", "b@remote.test")
			q.Envelope.Sender = addr.Address{Local: "s+tag", Domain: "example.test"}
			if file {
				q.Content = onDisk{envelope.Memory(text)}
			}
			r.want(r.deliver(q), dsn.OK, dsn.OK)
			if m := p.seen("MAIL"); len(m) != 1 || !strings.HasPrefix(m[0], "MAIL FROM:<out+tag@public.test>") {
				t.Errorf("%q", m)
			} else if _, size, ok := strings.Cut(m[0], "SIZE="); ok && !file && size != itoa(len(want)+strings.Count(want, "\n")) && !strings.HasPrefix(size, itoa(len(want))) {
				t.Errorf("%s, of %d octets", m[0], len(want))
			}
			if rcpt := strings.Join(p.seen("RCPT"), " "); !strings.Contains(rcpt, "<new@remote.test>") || !strings.Contains(rcpt, "<b@remote.test>") || strings.Contains(rcpt, "TO:<old@") {
				t.Error(rcpt)
			}
			if len(p.messages) != 1 {
				t.Fatalf("%d messages", len(p.messages))
			}
			got := strings.ReplaceAll(p.messages[0], "\r\n", "\n")
			if len(ehlo) == 0 {
				if !strings.Contains(got, "public =C3=BC\n") || strings.Contains(got, "X-Nested") {
					t.Errorf("%q", got)
				}
			} else if got != want {
				t.Errorf("%q, want\n%q", got, want)
			}
		}
	}
}

// onDisk is a content that lies in no memory.
type onDisk struct{ envelope.Memory }

func (onDisk) Bytes() ([]byte, bool) { return nil, false }

// TestOutgoingTablesThatCannot: mail waits for a table without an answer, and for one that wants what cannot be done, and no host hears
// of it.
func TestOutgoingTablesThatCannot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  func(*configs.SMTP)
		want string
	}{
		"generic fails":  {func(c *configs.SMTP) { c.GenericMaps = []string{"fail:x"} }, "4.3.0"},
		"generic is odd": {func(c *configs.SMTP) { c.GenericMaps = []string{"inline:{ {@example.test=(nobody)} }"} }, "4.3.5"},
		"checks fail":    {func(c *configs.SMTP) { c.HeaderChecks = []string{"fail:x"} }, "4.3.0"},
		"reject":         {func(c *configs.SMTP) { c.HeaderChecks = []string{"pcre:{ {/^Subject/ REJECT no} }"} }, "4.3.5"},
		"redirect":       {func(c *configs.SMTP) { c.BodyChecks = []string{"pcre:{ {/^hello/ REDIRECT a@b.test} }"} }, "4.3.5"},
		"no field":       {func(c *configs.SMTP) { c.HeaderChecks = []string{"pcre:{ {/^Subject/ REPLACE nothing} }"} }, "4.3.5"},
	} {
		p := newPeer(t, "127.0.0.1:0")
		r := outgoingRig(t, p.start().port, func(s *configs.SMTP, _ *Options) { c.set(s) })
		got := r.deliver(request("remote.test", hello, "a@remote.test", "b@remote.test"))
		for i := range 2 {
			if got[i].Err == nil || got[i].Err.Status.String() != c.want || got[i].Site {
				t.Errorf("%s: %+v", name, got[i])
			}
		}
		if sessions, _ := p.count(); sessions != 0 {
			t.Errorf("%s: %d sessions", name, sessions)
		}
	}
}

// TestGenericMapsDecideWhatIsASCII: an address that has another form outside needs no SMTPUTF8 there, and one in a header neither.
func TestGenericMapsDecideWhatIsASCII(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	r := outgoingRig(t, p.start().port, func(c *configs.SMTP, _ *Options) {
		c.GenericMaps = []string{"inline:{ {j\u00f6rg@example.test=joerg@public.test}, {\u00f6@remote.test=oe@remote.test} }"}
	})
	q := request("remote.test", "From: j\u00f6rg@example.test\nSubject: x\n\n\u00fc\n", "\u00f6@remote.test", "\u00e4@remote.test")
	q.Envelope.UTF8, q.Envelope.Sender = true, addr.Address{Local: "j\u00f6rg", Domain: "example.test"}
	got := r.deliver(q)
	r.want(got, dsn.OK, dsn.NonASCIIAddress)
	if m := p.seen("MAIL"); len(m) != 1 || !strings.HasPrefix(m[0], "MAIL FROM:<joerg@public.test>") || strings.Contains(m[0], "SMTPUTF8") {
		t.Errorf("%q", m)
	}
	if len(p.messages) != 1 || !strings.HasPrefix(p.messages[0], "From: joerg@public.test\r\n") {
		t.Errorf("%q", p.messages)
	}
}
