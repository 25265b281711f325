package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
)

// who is a user that this process can be.
func who(t *testing.T) hostuser.User {
	t.Helper()
	u, err := hostuser.Find("nobody")
	if os.Geteuid() != 0 {
		u, err = hostuser.FindID(os.Geteuid())
	}
	if err != nil {
		t.Fatal(err)
	}
	u.Name, u.Home = "me", "/home/me"
	return u
}

// queued keeps what is sent on.
type queued struct{ sent []*envelope.Submission }

func (q *queued) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	q.sent = append(q.sent, s)
	return envelope.QueueID(fmt.Sprint("F", len(q.sent))), s.Content.Close()
}

func made(t *testing.T, fsys vfs.FS, q *queued, aliases string, change func(*configs.Local)) *Agent {
	t.Helper()
	p := configs.Default().Local
	p.MailSpoolDirectory = "/spool"
	p.ForwardPath = nil
	if aliases != "" {
		p.AliasMaps = []string{"inline:{" + aliases + "}"}
	}
	u := who(t)
	p.DefaultPrivs = fmt.Sprintf("%d:%d", u.UID, u.GID)
	if change != nil {
		change(&p)
	}
	a, err := Open(t.Context(), Options{
		Params: p, Domains: []string{"here.test", ".below.test"}, Hostname: "mx.test", Delimiters: "+", Tables: tables.NewSet(tables.Options{Params: configs.Default().Lookup}),
		Submit: q, FS: fsys, Log: msglog.Discard(), Clock: clock.System{}, Find: func(name string) (hostuser.User, error) {
			switch name {
			case "me":
				return u, nil
			case "root":
				return hostuser.User{Name: "root"}, nil
			case "down":
				return hostuser.User{}, errors.New("down")
			}
			return hostuser.User{}, hostuser.ErrNoUser
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func request(to ...string) *agent.Request {
	r := &agent.Request{Envelope: &envelope.Envelope{ID: "Q1", Sender: addr.Address{Local: "s", Domain: "x.test"}, Arrived: time.Unix(1e9, 0)}, Content: envelope.Memory("Subject: x\nDelivered-To: had@here.test\n\nFrom y\n")}
	for i, text := range to {
		a, err := addr.Parse(text)
		if err != nil {
			panic(err)
		}
		r.Envelope.Recipients = append(r.Envelope.Recipients, envelope.Recipient{Address: a, Original: a})
		r.Recipients = append(r.Recipients, i)
	}
	return r
}

func deliver(t *testing.T, a *agent.Request, by *Agent) (got []agent.Result) {
	t.Helper()
	by.Deliver(t.Context(), a, func(r agent.Result) { got = append(got, r) })
	return got
}

func disk(t *testing.T) *faultfs.Disk {
	t.Helper()
	d := faultfs.NewDisk()
	for _, dir := range []string{"/spool", "/home", "/home/me"} {
		if err := errors.Join(d.Mkdir(dir, 0o777), d.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.SyncDir("/home"); err != nil {
		t.Fatal(err)
	}
	return d
}

func content(fsys vfs.FS, name string) string {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 1<<20)
	n, _ := f.Read(b)
	return string(b[:n])
}

const fields = "Return-Path: <s@x.test>\nX-Original-To: me@here.test\nDelivered-To: me@here.test\nSubject: x\nDelivered-To: had@here.test\n\n"

// TestEachFailureOfAMailbox: whatever fails, then the power: who was told to have the message has
// it, and the file has whole messages; when it only failed, the file is as it was.
func TestEachFailureOfAMailbox(t *testing.T) {
	t.Parallel()
	const before = "From a@b  Mon Jan  1 00:00:00 2024\n\nold\n\n"
	for n := 1; ; n++ {
		d := disk(t)
		if err := errors.Join(vfs.Replace(d, "/spool/me", []byte(before))); err != nil {
			t.Fatal(err)
		}
		faults := faultfs.Wrap(d)
		faults.FailNth(faultfs.Any, n, faultfs.ENOSPC)
		got := deliver(t, request("me@here.test"), made(t, faults, &queued{}, "", nil))
		if len(got) != 1 {
			t.Fatalf("operation %d: %+v", n, got)
		}
		now, after := content(d, "/spool/me"), content(d.Crash(), "/spool/me")
		whole := strings.HasPrefix(now, before+"From s@x.test  ") && strings.HasSuffix(now, fields+">From y\n\n")
		switch {
		case got[0].Err == nil && (!whole || after != now):
			t.Errorf("operation %d: told to be delivered: %q, after the crash %q", n, now, after)
		case got[0].Err != nil && (!got[0].Err.Temporary() || now != before):
			t.Errorf("operation %d: %v, and the file has %q", n, got[0].Err, now)
		}
		if faults.Count(faultfs.Any) < n {
			if n < 5 || !whole {
				t.Errorf("%d operations", n)
			}
			return
		}
	}
}

// TestMailboxIsMended: a message that somebody was interrupted in does not take ours in.
func TestMailboxIsMended(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"From a\n\nhalf a li", "From a\n\nline\n", "From a\n\nline\n\n"} {
		d := disk(t)
		if err := vfs.Replace(d, "/spool/me", []byte(before)); err != nil {
			t.Fatal(err)
		}
		if got := deliver(t, request("me@here.test"), made(t, d, &queued{}, "", nil)); got[0].Err != nil {
			t.Error(got[0].Err)
		}
		if now := content(d, "/spool/me"); !strings.Contains(now, "\n\nFrom s@x.test  ") || !strings.HasPrefix(now, before) {
			t.Errorf("%q", now)
		}
		if content(d, "/spool/me.lock") != "" {
			t.Error("the lock stays")
		}
	}
}

// TestSteps is what names lead to.
func TestSteps(t *testing.T) {
	t.Parallel()
	aliases := `{a = b, b, me} {b = x@far.test, "Y" <y@far.test>} {loop1 = loop2} {loop2 = loop1} {cmd = |exit 0} {bad = |exit 67} {later = |exit 75} {mixed = |exit 67, x@far.test} {twice = |exit 75, x@far.test} {own = x@far.test} {owner-own = me} ` +
		`{self = self, x@far.test} {dash = "-x"@far.test} {rel = :include:list} {none = ,}`
	for to, want := range map[string]string{
		"cmd@here.test":    "sent delivered to command: exit 0",
		"bad@here.test":    "5.1.1 user unknown",
		"later@here.test":  "4.3.0 temporary failure",
		"b@here.test":      "expanded forwarded as F1 | s@x.test: x@far.test y@far.test",
		"B+ext@here.test":  "expanded forwarded as F1 | s@x.test: x@far.test y@far.test",
		"own@here.test":    "expanded forwarded as F1 | owner-own@here.test: x@far.test",
		"loop1@here.test":  "5.4.6 alias database loop for loop",
		"had@here.test":    "5.4.6 mail forwarding loop for had@here.test",
		"who@here.test":    `5.1.1 unknown user: "who"`,
		"who@x.below.test": `5.1.1 unknown user: "who"`,
		"self@here.test":   `5.1.1 unknown user: "self" | s@x.test: x@far.test`,
		"mixed@here.test":  "5.1.1 user unknown | s@x.test: x@far.test",
		"twice@here.test":  "4.3.0 temporary failure",
		"dash@here.test":   "5.1.3 bad address syntax",
		"rel@here.test":    "5.3.5 mail system configuration error",
		"none@here.test":   "5.3.5 mail system configuration error",
		"root@here.test":   "4.3.5 mail system configuration error",
		"down@here.test":   "4.3.0 Temporary lookup failure",
	} {
		q := &queued{}
		got := deliver(t, request(to), made(t, disk(t), q, aliases, nil))[0]
		text := ""
		if got.Err != nil {
			text = got.Err.Status.String() + " " + got.Err.Text
		} else {
			text = string(got.Action) + " " + got.Text
		}
		for _, s := range q.sent {
			text += " | " + s.Envelope.Sender.String() + ":"
			for _, r := range s.Envelope.Recipients {
				text += " " + r.Address.String()
			}
		}
		if !strings.HasPrefix(text, want) || strings.Contains(want, "|") != strings.Contains(text, "|") {
			t.Errorf("%s: %s, want %s", to, text, want)
		}
	}
}

// TestTokens as RFC 822 and aliases(5) have them.
func TestTokens(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"a, b ,c":                           "a|b|c",
		`"|cmd a, b" , x`:                   "|cmd a, b|x",
		`|"cmd a b"`:                        "|cmd a b",
		`|cmd a b`:                          "|cmd a b",
		`"|cmd \"q\" \\"`:                   `|cmd "q" \`,
		`Name, X <a@b>, "N, M" <c@d> (hi,)`: "Name|a@b|c@d",
		`:include:/a/b, /file, \me`:         `:include:/a/b|/file|\me`,
		"":                                  "",
		" , ,":                              "",
		`|cmd <in >out`:                     "|cmd <in >out",
	} {
		if got := strings.Join(tokens(line), "|"); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// FuzzTokens: any line is taken apart.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{`"|cmd a, b" , x`, `a <b@c> (d), "e`, `\`, `"\`, "((,)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, one := range tokens(s) {
			if len(one) > len(s) {
				t.Errorf("%q of %q", one, s)
			}
		}
	})
}

// TestRefused is what smtpd asks.
func TestRefused(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]dsn.Status{
		"me@here.test": 0, "ME+x@here.test": 0, "a@here.test": 0, "a+x@here.test": 0, "nobody-here@here.test": dsn.BadDestMailbox, "down@here.test": dsn.MailSystem,
	} {
		parsed, _ := addr.Parse(to)
		err := made(t, disk(t), &queued{}, "{a = b}", nil).Refused(t.Context(), parsed)
		if want == 0 && err != nil || want != 0 && (err == nil || err.Status != want) {
			t.Errorf("%s: %v", to, err)
		}
	}
	all := made(t, disk(t), &queued{}, "", func(p *configs.Local) { p.RecipientMaps = nil; p.LuserRelay = "$user@far.test" })
	if err := all.Refused(t.Context(), addr.Address{Local: "x", Domain: "here.test"}); err != nil {
		t.Error(err)
	}
	if got := deliver(t, request("x+y@here.test"), all); got[0].Err != nil || got[0].Text != "forwarded as F1" {
		t.Errorf("%+v", got)
	}
}

// TestTheRelayOfUnknownUsersIsOneAddress: a local part is a stranger's word. It names nobody else, no file and no list.
func TestTheRelayOfUnknownUsersIsOneAddress(t *testing.T) {
	t.Parallel()
	for _, relay := range []string{"$local@far.test", "admin+$local", "$local"} {
		for _, local := range []string{`victim@third.test,x`, `victim@third.test`, `/tmp/luser,x`, `:include:/etc/passwd,x`, `|touch /tmp/luser,x`, `a b`, `x"y`} {
			q := &queued{}
			all := made(t, disk(t), q, "", func(p *configs.Local) { p.RecipientMaps = nil; p.LuserRelay = relay })
			r := request("x@here.test")
			r.Envelope.Recipients[0].Address.Local, r.Envelope.Recipients[0].Original.Local = local, local
			if got := deliver(t, r, all)[0]; got.Err == nil || got.Err.Temporary() || len(q.sent) != 0 {
				t.Errorf("%s for %s: %+v, %d messages sent", local, relay, got, len(q.sent))
			}
		}
	}
}

// TestACommandOfTwoUsersRunsTwice: and a file of two users is two, too.
func TestACommandOfTwoUsersRunsTwice(t *testing.T) {
	t.Parallel()
	d := &delivery{seen: map[key]bool{}}
	for _, kind := range []kind{toCommand, toFile} {
		for _, uid := range []int{1000, 1001, 1000} {
			d.add(step{kind: kind, text: "/usr/bin/procmail", who: hostuser.User{UID: uid}})
		}
	}
	if len(d.steps) != 4 {
		t.Errorf("%d steps, want a command and a file for each of two users", len(d.steps))
	}
}

// TestMaildirOnce: a message that is handed out again is there already, also when it was read.
func TestMaildirOnce(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "tm-")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := made(t, vfs.OS{}, &queued{}, "", func(p *configs.Local) { p.MailSpoolDirectory = dir + "/" })
	r := request("me@here.test")
	names := func() (all []string) {
		for _, sub := range []string{"new", "cur", "tmp"} {
			entries, _ := os.ReadDir(dir + "/me/" + sub)
			for _, e := range entries {
				all = append(all, sub+"/"+e.Name())
			}
		}
		return all
	}
	for i := range 3 {
		if got := deliver(t, r, a); got[0].Err != nil || got[0].Text != "delivered to maildir" {
			t.Fatalf("%+v", got)
		}
		all := names()
		if len(all) != 1 {
			t.Fatalf("%d: %q", i, all)
		}
		if i == 0 {
			if text := content(vfs.OS{}, dir+"/me/"+all[0]); text != fields+"From y\n" {
				t.Errorf("%q", text)
			}
			base := strings.TrimPrefix(all[0], "new/")
			if err := os.Rename(dir+"/me/new/"+base, dir+"/me/cur/"+base+":2,S"); err != nil {
				t.Fatal(err)
			}
		}
		r.Replay = true
	}
}
