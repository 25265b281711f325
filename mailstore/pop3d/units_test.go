package pop3d

import (
	"bytes"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/mailstore/login"
)

func TestUIDLFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"%08Xu%08Xv": "0000002a5f5e1000",
		"%u-%v":      "42-1600000000",
		"%Xu":        "2a",
		"UID%06u%%":  "UID000042%",
		"%f":         "1.M2.mx",
		"%g":         "abc",
		"x-%f-%v":    "x-1.M2.mx-1600000000",
	} {
		form, err := configs.ParseUIDL(format)
		if err != nil {
			t.Fatal(err)
		}
		if got := string((&uidForm{parts: form, validity: 1_600_000_000, fileName: func(imap.UID) string { return "1.M2.mx" }, guids: map[imap.UID]string{42: "abc"}}).append(nil, &message{uid: 42})); got != want {
			t.Errorf("%s makes %s, want %s", format, got, want)
		}
	}
	for name, want := range map[string]string{"": "0000002a5f5e1000", "a": "a"} {
		f := uidForm{parts: []configs.UIDLPart{{Variable: 'g'}}, validity: 1_600_000_000, fileName: func(imap.UID) string { return name }}
		if got := string(f.append(nil, &message{uid: 42})); got != want {
			t.Errorf("the name %q makes %s, want %s", name, got, want)
		}
	}
	if _, err := New(Options{Config: configs.POP3D{UIDLFormat: "%v"}}); err == nil {
		t.Error("ids that are all the same")
	}
}

func TestResponseCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  *dsn.Error
		want string
	}{
		{dsn.New(dsn.AuthFailed, "x"), "[AUTH] x"},
		{dsn.New(dsn.AuthUnavailable, "x"), "[SYS/TEMP] x"},
		{dsn.New(dsn.MailSystem, "x"), "[SYS/TEMP] x"},
		{dsn.New(dsn.MailboxDisabled, "x"), "[SYS/PERM] x"},
		{login.ErrTooMany, "[IN-USE] " + login.ErrTooMany.Text},
		{login.ErrInsecure, login.ErrInsecure.Text},
	} {
		if got := refusal(c.err); got != c.want {
			t.Errorf("%v is %q, want %q", c.err, got, c.want)
		}
	}
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	h, err := New(Options{Config: configs.Default().POP3D})
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"NOOP": "NOOP", "noop": "NOOP", "ReTr 1": "RETR", "TOP": "TOP", "": "", "NOOPS": "", "NOO": "", " NOOP": "",
		"NOOP\x00": "", "verylongverb": "", "QUIT ": "QUIT",
	} {
		v, _ := h.lookup([]byte(line))
		if v == nil && want != "" || v != nil && v.name != want {
			t.Errorf("%q is %v, want %q", line, v, want)
		}
	}
	for _, v := range verbs() {
		if len(v.name) > maxVerb {
			t.Errorf("%s is longer than maxVerb", v.name)
		}
		if _, ok := v.split([]byte(" ")); ok != (v.args.least == 0 || v.args.verbatim) {
			t.Errorf("%s without arguments: %v", v.name, ok)
		}
	}
}

// topOf is TOP in the plainest way.
func topOf(text string, lines uint64) string {
	rest := text
	out := 0
	inBody := false
	for rest != "" && (!inBody || lines > 0) {
		line, after, found := strings.Cut(rest, "\n")
		out += len(line)
		if found {
			out++
		}
		rest = after
		switch {
		case inBody:
			lines--
		case found && (line == "" || line == "\r"):
			inBody = true
		}
	}
	return text[:out]
}

func FuzzTop(f *testing.F) {
	f.Add([]byte(first), uint64(2), uint8(3))
	f.Add([]byte("\n\n\n"), uint64(1), uint8(1))
	f.Add([]byte("a\r\n\r\nb\r\nc"), uint64(1), uint8(2))
	f.Add([]byte("no body"), uint64(0), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, lines uint64, piece uint8) {
		top := topper{body: lines}
		var got bytes.Buffer
		for rest := text; len(rest) > 0 && !top.done; {
			p := rest[:min(int(piece)+1, len(rest))]
			rest = rest[len(p):]
			got.Write(p[:top.take(p)])
		}
		if want := topOf(string(text), lines); got.String() != want {
			t.Fatalf("top %d in pieces of %d: %q, want %q", lines, piece+1, got.String(), want)
		}
	})
}
