package bounce

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/golden"
	"toastmaster/mta/agent"
)

// reports are the reports of TestReportsInFull; -update makes one that is missing.
var reports = golden.Flag()

// TestReportsInFull: each kind of report as its reader gets it.
func TestReportsInFull(t *testing.T) {
	t.Parallel()
	far := "A host far away that says a great deal about why it does not want this message, in one line"
	for name, change := range map[string]func(r *agent.Report){
		"failure": func(r *agent.Report) {
			r.Envelope.EnvID = "QQ+2B1"
			r.Envelope.Recipients[0].Original = address(t, "team@example.test")
			r.Envelope.Recipients[1].ORcpt = "rfc822;b+2Bx@example.test"
			r.Recipients[1].Err = &dsn.Error{Status: dsn.Make(5, 7, 1), Text: far, RemoteMTA: "mx.remote.test", RemoteReply: "550 5.7.1 " + far}
			r.Recipients[2].Err = &dsn.Error{Text: "An agent that gave no status"}
			r.Recipients[2].At = time.Time{}
		},
		"delay": func(r *agent.Report) {
			r.Kind, r.RetryUntil = agent.Delay, now.Add(96*time.Hour)
			r.Recipients[0].Err = dsn.New(dsn.NoAnswer, far)
		},
		"success": func(r *agent.Report) {
			r.Kind = agent.Success
			for i, action := range []agent.Action{agent.Sent, agent.Relayed, agent.Expanded} {
				r.Envelope.Recipients[i].Notify = envelope.NotifySuccess
				r.Recipients[i] = agent.ReportRecipient{Recipient: i, Text: "250 ok", Action: action, At: now}
			}
			r.Recipients[1].Status = dsn.Make(2, 1, 5)
		},
		"eight_bit": func(r *agent.Report) { r.Content = envelope.Memory("Subject: x\n\ncaf\xe9\n") },
		"utf8": func(r *agent.Report) {
			r.Envelope.UTF8, r.Envelope.Return = true, envelope.ReturnHeaders
			r.Content = envelope.Memory("Subject: caf\u00e9\n\nx\n")
			r.Envelope.Recipients[0].Address = address(t, "jos\u00e9@remote.test")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, q, _ := generator(t, nil)
			r := failure(t, "a@remote.test", "b@remote.test", "c@remote.test")
			change(r)
			if err := g.Report(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			parse(t, q.texts[0])
			if want := reports.Read(t, name+".txt", []byte(q.texts[0])); string(want) != q.texts[0] {
				t.Errorf("the report is\n%s\nwant\n%s", q.texts[0], want)
			}
		})
	}
}

// TestWhichReportsAreInternationalised: an address that is not ASCII, in any place, or a
// header that is not, makes the report one of RFC 6533; text in the body does not.
func TestWhichReportsAreInternationalised(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change         func(r *agent.Report)
		utf8, eightBit bool
	}{
		"all ASCII":          {func(*agent.Report) {}, false, false},
		"sender":             {func(r *agent.Report) { r.Envelope.Sender = address(t, "\u00fc@example.test") }, true, true},
		"recipient":          {func(r *agent.Report) { r.Envelope.Recipients[1].Address = address(t, "\u00fc@remote.test") }, true, true},
		"original recipient": {func(r *agent.Report) { r.Envelope.Recipients[1].Original = address(t, "\u00fc@remote.test") }, true, true},
		"one the report is not about": {func(r *agent.Report) {
			r.Envelope.Recipients = append(r.Envelope.Recipients, envelope.Recipient{Address: address(t, "\u00fc@remote.test")})
		}, false, false},
		"header, with SMTPUTF8": {func(r *agent.Report) { r.Envelope.UTF8, r.Content = true, envelope.Memory("A: \u00fc\n\nb\n") }, true, true},
		"header, without":       {func(r *agent.Report) { r.Content = envelope.Memory("A: \u00fc\n\nb\n") }, false, true},
		"body":                  {func(r *agent.Report) { r.Envelope.UTF8, r.Content = true, envelope.Memory("A: b\n\n\u00fc\n") }, false, true},
		"body that is not returned": {func(r *agent.Report) {
			r.Envelope.Return, r.Content = envelope.ReturnHeaders, envelope.Memory("A: b\n\n\u00fc\n")
		}, false, false},
		"SMTPUTF8 without need": {func(r *agent.Report) { r.Envelope.UTF8 = true }, false, false},
	} {
		g, q, _ := generator(t, nil)
		r := failure(t, "a@remote.test", "b@remote.test")
		c.change(r)
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		env := q.envs[0]
		if env.UTF8 != c.utf8 || (env.Body == envelope.Body8BitMIME) != c.eightBit {
			t.Errorf("%s: UTF8 %v, body %v", name, env.UTF8, env.Body)
		}
		h, parts := parse(t, q.texts[0])
		if got := h.Get("Content-Transfer-Encoding") == "8bit"; got != c.eightBit {
			t.Errorf("%s: the report is said to be 8bit: %v", name, got)
		}
		if got := strings.HasPrefix(parts[1].kind, "message/global"); got != c.utf8 {
			t.Errorf("%s: %v", name, parts[1].kind)
		}
		if !c.eightBit && strings.ContainsFunc(q.texts[0], func(r rune) bool { return r >= 0x80 }) {
			t.Errorf("%s: octets above ASCII in a report of 7 bits", name)
		}
	}
}

// TestMessageIDsThatAreAnswered: what stands in In-Reply-To is one ID, and nothing that
// would end the header or make another field.
func TestMessageIDsThatAreAnswered(t *testing.T) {
	t.Parallel()
	long := "<" + strings.Repeat("x", 898) + ">"
	for header, want := range map[string]string{
		"Message-ID: <a@b>\n":                  "<a@b>",
		"message-id:<a@b>\n":                   "<a@b>",
		"MESSAGE-ID:   <a@b>  \n":              "<a@b>",
		"A: b\nMessage-ID: <a@b>":              "", // a line that is cut
		"Message-ID: <a@b>\nMessage-ID: <c>\n": "<a@b>",
		"Message-ID: <x>\n":                    "<x>",
		"Message-ID: " + long + "\n":           long,
		"Message-ID: <" + long[1:] + "x>\n":    "",
		"Message-ID: <>\n":                     "",
		"Message-ID: a@b\n":                    "",
		"Message-ID: <a@b\n":                   "",
		"Message-ID: a@b>\n":                   "",
		"Message-ID: <a b>\n":                  "",
		"Message-ID: <a\tb>\n":                 "",
		"Message-ID: <\u00fc@b>\n":             "",
		"Message-ID: <a\x7fb>\n":               "",
		"Message-ID:\n <a@b>\n":                "",
		"X-Message-ID: <a@b>\n":                "",
		"Message-ID\n":                         "",
		"\nMessage-ID: <a@b>\n":                "",
	} {
		if got := messageID(cutHeader([]byte(header))); got != want {
			t.Errorf("%.40q: %.40q", header, got)
		}
		g, q, _ := generator(t, nil)
		r := failure(t, "a@remote.test")
		r.Content = envelope.Memory(header)
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		h, _ := parse(t, q.texts[0])
		if h.Get("In-Reply-To") != want || h.Get("References") != want {
			t.Errorf("%.40q: answers %.40q", header, h.Get("In-Reply-To"))
		}
	}
}

// torn is a content that ends early, as one does whose file is damaged.
type torn struct {
	envelope.Memory
	at int
}

func (c torn) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, c.Memory[min(int(off), c.at):c.at])
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// TestAMessageThatCannotBeReadWhole: what there is of its header is returned, never a piece
// as if it were the message, and the log says so.
func TestAMessageThatCannotBeReadWhole(t *testing.T) {
	t.Parallel()
	head := sample[:strings.Index(sample, "\n\n")+1]
	for at, want := range map[int]string{0: "", 10: "", len(head) - 1: head[:strings.LastIndex(head[:len(head)-1], "\n")+1], len(head): head, len(sample) - 1: head} {
		g, q, log := generator(t, nil)
		r := failure(t, "a@remote.test")
		r.Content = torn{envelope.Memory(sample), at}
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, parts := parse(t, q.texts[0]); parts[2] != (part{"text/rfc822-headers", want}) {
			t.Errorf("cut at %d: %q", at, parts[2])
		}
		if !strings.Contains(log.String(), "report returns less than the message") {
			t.Errorf("cut at %d: not logged", at)
		}
	}
}

// TestSizesOfWhatIsReturned: a message of bounce.size_limit is returned whole, one octet
// more is not; of a header as much as the limit allows, and never a part of a line.
func TestSizesOfWhatIsReturned(t *testing.T) {
	t.Parallel()
	const limit = 20_000
	body := "A: b\n\n" + strings.Repeat(strings.Repeat("x", 57)+"\n", (limit-6)/58) + strings.Repeat("y", (limit-6)%58-1) + "\n"
	line := strings.Repeat("h", 98) + "\n"
	header := strings.Repeat("X: "+line[3:], 300) // 29,700
	for name, c := range map[string]struct{ content, kind, text string }{
		"at the limit":  {body, "message/rfc822", body},
		"one more":      {body + "\n", "text/rfc822-headers", "A: b\n"},
		"header beyond": {header, "text/rfc822-headers", header[:limit/99*99]},
	} {
		g, q, _ := generator(t, func(c *configs.Bounce) { c.SizeLimit = limit })
		r := failure(t, "a@remote.test")
		r.Content = envelope.Memory(c.content)
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, parts := parse(t, q.texts[0]); parts[2].kind != c.kind || parts[2].text != c.text {
			t.Errorf("%s: %s, %d octets, want %d", name, parts[2].kind, len(parts[2].text), len(c.text))
		}
	}
	g, q, _ := generator(t, func(c *configs.Bounce) { c.SizeLimit = 10 })
	r := failure(t, "a@remote.test")
	r.Content = envelope.Memory(header)
	if err := g.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, parts := parse(t, q.texts[0]); len(parts[2].text) != minHeader/99*99 {
		t.Errorf("a low limit: %d octets of a header", len(parts[2].text))
	}
}

// TestTextIsWrapped: lines of 72 octets in the part for people, a word that is longer
// whole; fields of 78, and of a word 900 octets.
func TestTextIsWrapped(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	for text, want := range map[string]string{
		"":                              "",
		"  a   b  ":                     "a b",
		x(35) + " " + x(36):             x(35) + " " + x(36),
		x(36) + " " + x(36):             x(36) + "\n    " + x(36),
		x(72) + " a":                    x(72) + "\n    a",
		x(100) + " a":                   x(100) + "\n    a",
		"a " + x(100) + " b":            "a\n    " + x(100) + "\n    b",
		x(72) + " " + x(67) + " " + "b": x(72) + "\n    " + x(67) + "\n    b",
		x(72) + " " + x(66) + " " + "b": x(72) + "\n    " + x(66) + " b",
	} {
		if got := wrap(text, 4); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for value, want := range map[string]string{
		"":                      "N:\n",
		x(75):                   "N: " + x(75) + "\n",
		x(76):                   "N: " + x(76) + "\n", // the first word stays with the name
		x(37) + " " + x(37):     "N: " + x(37) + " " + x(37) + "\n",
		x(37) + " " + x(38):     "N: " + x(37) + "\n    " + x(38) + "\n",
		"a " + x(74):            "N: a\n    " + x(74) + "\n",
		"a " + x(74) + " b":     "N: a\n    " + x(74) + "\n    b\n",
		x(900):                  "N: " + x(900) + "\n",
		x(901):                  "N: " + x(900) + "\n",
		x(899) + "\u00fc" + "y": "N: " + x(899) + "\n",
	} {
		w := &writer{}
		w.field("N", value)
		if got := w.b.String(); got != want {
			t.Errorf("%.50q (%d): %q", value, len(value), got)
		}
	}
}

// TestACopyForWhomTheMailWas: postmaster gets no copy of a failure of what went to
// postmaster, under whatever address it was written to; a delay has no copy at all.
func TestACopyForWhomTheMailWas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(r *agent.Report)
		copies int
	}{
		"another":         {func(*agent.Report) {}, 1},
		"the address":     {func(r *agent.Report) { r.Envelope.Recipients[0].Address = address(t, "POSTMASTER@example.test") }, 0},
		"the original":    {func(r *agent.Report) { r.Envelope.Recipients[0].Original = address(t, "postmaster@Example.test") }, 0},
		"a delay":         {func(r *agent.Report) { r.Kind = agent.Delay }, 0},
		"nobody wants it": {func(r *agent.Report) { r.Envelope.Recipients[0].Notify = envelope.NotifyNever }, 1},
	} {
		g, q, _ := generator(t, func(c *configs.Bounce) { c.CopyTo = "postmaster@example.test" })
		r := failure(t, "a@remote.test")
		c.change(r)
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		copies := 0
		for _, env := range q.envs {
			if env.Recipients[0].Address == address(t, "postmaster@example.test") {
				copies++
			}
		}
		if copies != c.copies {
			t.Errorf("%s: %d copies", name, copies)
		}
	}
}

// TestACopyAlone: the copy is tried again where it is all that there is, whoever it was
// that did not want the report.
func TestACopyAlone(t *testing.T) {
	t.Parallel()
	g, q, _ := generator(t, func(c *configs.Bounce) { c.CopyTo = "postmaster@example.test" })
	q.fail = errors.New("the disk")
	r := failure(t, "a@remote.test")
	r.Envelope.Recipients[0].Notify = envelope.NotifyNever
	if err := g.Report(t.Context(), r); err == nil {
		t.Error("a copy that is lost is no error")
	}
}
