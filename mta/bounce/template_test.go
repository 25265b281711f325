package bounce

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/testkit/peers"
	"toastmaster/mta/agent"
)

var values = Values{Hostname: "mail.example.test", MailName: "Toastmaster", SizeLimit: 50_000, DelayWarning: 4 * time.Hour, QueueLifetime: 5 * 24 * time.Hour}

const ownTemplates = `# texts of ours
failure_template = <<EOF
Charset: utf-8
From: Postmeister <postmeister@example.test>
Subject: Nicht zugestellt
Postmaster-Subject: Kopie: nicht zugestellt

Hier ist $myhostname. Ihre Nachricht wurde nicht zugestellt, für $$0 und ${bounce_size_limit}.

EOF

delay_template = <<END OF TEXT
From: MAILER-DAEMON (Mail Delivery System)
Subject: Delayed Mail (still being retried)

After $delay_warning_time_hours hours; $(maximal_queue_lifetime_days) days ($maximal_queue_lifetime_weeks weeks, $delay_warning_time_minutes minutes).
END OF TEXT
`

// TestTemplatesArePostfixs: postconf -b makes the same of a file of templates.
func TestTemplatesArePostfixs(t *testing.T) {
	t.Parallel()
	peers.Need(t, "postconf", "postfix")
	dir := t.TempDir()
	file := filepath.Join(dir, "bounce.cf")
	for name, text := range map[string]string{
		"main.cf":   "compatibility_level = 3.6\nmyhostname = mail.example.test\nmydomain = example.test\ndelay_warning_time = 4h\nbounce_size_limit = 50000\nmaximal_queue_lifetime = 5d\n",
		"bounce.cf": ownTemplates,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "postconf", "-c", dir, "-b", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := readTemplates(file, values)
	if err != nil {
		t.Fatal(err)
	}
	theirs := regexp.MustCompile(`(?s)expanded_(\w+)_text = <<EOF\n(.*?)EOF\n`).FindAllStringSubmatch(string(out), -1)
	for name, kind := range map[string]agent.Kind{"failure": agent.Failure, "delay": agent.Delay} {
		found := false
		for _, m := range theirs {
			if m[1] != name {
				continue
			}
			found = true
			if got := ours[kind].text; m[2] != got {
				t.Errorf("%s: %q, ours %q", name, m[2], got)
			}
		}
		if !found {
			t.Errorf("no %s in %s", name, out)
		}
	}
	if len(ours) != 2 {
		t.Errorf("%+v", ours)
	}
}

// TestReportsByTemplate: the operator's words stand in the report, before what happened to
// each recipient; a copy has its own subject, and a kind that the file does not name our words.
func TestReportsByTemplate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bounce.cf")
	if err := os.WriteFile(file, []byte(ownTemplates), 0o600); err != nil {
		t.Fatal(err)
	}
	g, q, _ := generator(t, func(c *configs.Bounce) { c.TemplateFile, c.CopyTo = file, "postmaster@example.test" })
	if err := g.Report(t.Context(), failure(t, "x@y.test")); err != nil {
		t.Fatal(err)
	}
	for i, subject := range []string{"Nicht zugestellt", "Kopie: nicht zugestellt"} {
		header, parts := parse(t, q.texts[i])
		if header.Get("Subject") != subject || header.Get("From") != "Postmeister <postmeister@example.test>" || header.Get("Content-Transfer-Encoding") != "8bit" {
			t.Errorf("%v", header)
		}
		if !strings.HasPrefix(parts[0].text, "Hier ist mail.example.test. Ihre Nachricht wurde nicht zugestellt, für $0 und 50000.\n") ||
			!strings.Contains(parts[0].text, "\n<x@y.test>: No such user here") || parts[0].kind != "text/plain; charset=utf-8" || strings.Contains(parts[0].text, "This is the mail system") {
			t.Errorf("%s: %s", parts[0].kind, parts[0].text)
		}
		if q.envs[i].Body != envelope.Body8BitMIME {
			t.Errorf("body %v", q.envs[i].Body)
		}
	}
	r := failure(t, "x@y.test")
	r.Kind, r.Recipients[0].Err = agent.Success, nil
	r.Envelope.Recipients[0].Notify = notifyOf(agent.Success)
	if err := g.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if header, parts := parse(t, q.texts[2]); header.Get("Subject") != "Successful Mail Delivery Report" || !strings.HasPrefix(parts[0].text, "This is the mail system") {
		t.Errorf("%v %q", header, parts[0].text)
	}
}

// TestTemplateMistakes: each names its line, and nothing of the file is used.
func TestTemplateMistakes(t *testing.T) {
	t.Parallel()
	const head = "From: a\nSubject: b\n\n"
	for text, want := range map[string]string{
		"failure_template = x\n":                                                         "1: want",
		"\n\nfailed_template = <<X\n" + head + "X\n":                                     `3: "failed_template" is none of`,
		"failure_template = <<X\n" + head:                                                "1: failure_template has no end: the line X",
		"failure_template = <<X\nFrom: a\n\ntext\nX\n":                                   "no Subject",
		"failure_template = <<X\nFrom: a\nSubject: b\nX\n":                               "no empty line",
		"failure_template = <<X\nFrom: a\nSubject: b\ntext\n\nX\n":                       `4: failure_template: "text" is no field`,
		"failure_template = <<X\nFrom: ä\nSubject: b\n\nX\n":                             "2: failure_template: From is empty, or not ASCII",
		"failure_template = <<X\n" + head + "$nothing\nX\n":                              "5: failure_template: $nothing is no parameter",
		"failure_template = <<X\n" + head + "${myhostname\nX\n":                          "has no end",
		"failure_template = <<X\n" + head + "für\nX\n":                                   "the charset is us-ascii",
		"failure_template = <<X\nCharset: utf-8\n" + head + "\xff\nX\n":                  "6: failure_template: the text is not UTF-8",
		"failure_template = <<X\nCharset: koi8-r\n" + head + "x\nX\n":                    "the charset is koi8-r",
		"failure_template = <<X\n" + head + strings.Repeat("x", 991) + "\nX\n":           "longer than 990",
		"failure_template = <<X\n" + head + "X\nfailure_template = <<X\n" + head + "X\n": "there twice",
		"failure_template = <<X\n" + head + "$maximal_queue_lifetime_years\nX\n":         "no parameter",
	} {
		all, err := parseTemplates(text, values)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v %+v, want %q", text, err, all, want)
		}
	}
}

// TestNoticeClasses: who gets copies of which reports.
func TestNoticeClasses(t *testing.T) {
	t.Parallel()
	g, q, _ := generator(t, func(c *configs.Bounce) {
		c.CopyTo, c.DoubleCopyTo, c.DelayCopyTo = "copies@example.test", "double@example.test", "delay@example.test"
		c.Classes = []string{"2bounce", "delay"}
	})
	null := failure(t, "x@y.test")
	null.Envelope.Sender = address(t, "s@example.test")
	null.Envelope.Sender.Local, null.Envelope.Sender.Domain = "", ""
	delayed := failure(t, "x@y.test")
	delayed.Kind = agent.Delay
	own := failure(t, "delay@example.test")
	own.Envelope.Sender = null.Envelope.Sender
	for _, c := range []struct {
		r    *agent.Report
		want string
	}{
		{failure(t, "x@y.test"), "s@example.test"}, {null, "double@example.test"}, {delayed, "s@example.test delay@example.test"},
		{own, ""}, // mail to one who gets copies never makes a copy
	} {
		q.envs = nil
		if err := g.Report(t.Context(), c.r); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range q.envs {
			got = append(got, e.Recipients[0].Address.String())
		}
		for i, e := range q.envs {
			// The first report settles what it is about, in its record; a copy beside it nothing.
			s := e.Settles
			if first := i == 0; (s != nil) != first || first && (s.ID != c.r.Envelope.ID || s.Warned != (c.r.Kind == agent.Delay) || (len(s.Recipients) == len(c.r.Recipients)) == s.Warned) {
				t.Errorf("%q, report %d settles %+v", got, i, s)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// FuzzTemplates: no file breaks the reader, and what it takes makes reports.
func FuzzTemplates(f *testing.F) {
	f.Add(ownTemplates)
	f.Add("failure_template = <<X\nFrom: a\nSubject: b\n\n${myhostname}$$$(mydomain)\nX\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseTemplates(text, values)
		if err != nil {
			return
		}
		for _, one := range all {
			if one.from == "" || one.subject == "" || strings.ContainsAny(one.from+one.subject+one.postmasterSubject, "\r\n") || !one.eight && mime.Has8Bit([]byte(one.text)) {
				t.Errorf("%q: %+v", text, one)
			}
		}
	})
}
