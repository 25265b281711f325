package sendmail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/configs"
	"toastmaster/internal/run/initial"
)

func TestLocalSMTP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		listen, trusted []string
		want            string
	}{
		{[]string{"0.0.0.0:25"}, nil, "127.0.0.1:25"},
		{[]string{":25"}, nil, "127.0.0.1:25"},
		{[]string{"unix:smtp.sock", "192.0.2.1:25"}, nil, "192.0.2.1:25"},
		{[]string{"192.0.2.1:25", "127.0.0.1:2525"}, nil, "127.0.0.1:2525"},
		{[]string{"192.0.2.1:25", "127.0.0.1:2525"}, []string{"192.0.2.0/24"}, "192.0.2.1:25"},
		{[]string{"unix:smtp.sock"}, nil, ""},
	} {
		p := configs.Default()
		p.SMTPD.Listen = c.listen
		if c.trusted != nil {
			p.Main.TrustedNetworks = c.trusted
		}
		if got := localSMTP(p); got != c.want {
			t.Errorf("%v trusting %v: %s", c.listen, c.trusted, got)
		}
	}
}

// TestInitTrustsItsOwnAddress: what this host sends to it comes from it.
func TestInitTrustsItsOwnAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"192.0.2.1": `trusted_networks = ["127.0.0.0/8", "::1/128", "192.0.2.1/32"]`, "2001:db8::1": `, "2001:db8::1/128"]`,
		"0.0.0.0": "", "127.0.0.1": "", "::": "",
	} {
		text := initial.Text(initial.Options{Hostname: "mx.example.test", Host: host, Postmaster: "a@example.test"})
		if got := strings.Contains(text, "trusted_networks"); got != (want != "") || !strings.Contains(text, want) {
			t.Errorf("%s:\n%s", host, text)
		}
	}
}

// TestMailSystemNeedsWhatWasNamed: a configuration that somebody named and that
// is not there, or is wrong, is not guessed.
func TestMailSystemNeedsWhatWasNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wrong := filepath.Join(dir, "wrong.toml")
	if err := os.WriteFile(wrong, []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, "none.toml"), wrong} {
		env := &cli.Environment{ConfigFile: file, Getenv: func(string) string { return "" }}
		if m, err := findMailSystem(env); err == nil {
			t.Errorf("%s: %+v", file, m)
		}
	}
}

func TestCopyLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"HELO x\nQUIT\n":              "HELO x\r\nQUIT\r\n",
		"EHLO x\r\nBDAT 2 LAST\r\n\n": "EHLO x\r\nBDAT 2 LAST\r\n\n",
		"":                            "",
		"QUIT":                        "QUIT",
		"HELO x\nMAIL\r\nQUIT\n":      "HELO x\r\nMAIL\r\nQUIT\r\n",
	} {
		var out bytes.Buffer
		if err := copyLines(&out, strings.NewReader(in)); out.String() != want {
			t.Errorf("%q: %q %v", in, out.String(), err)
		}
	}
}

// TestALineOfASessionGoesAtOnce: who speaks waits for the answer.
func TestALineOfASessionGoesAtOnce(t *testing.T) {
	t.Parallel()
	from, in := io.Pipe()
	out, to := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- copyLines(to, from) }()
	r := bufio.NewReader(out)
	for _, line := range []string{"HELO x", "NOOP", "QUIT"} {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadString('\n'); got != line+"\r\n" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := errors.Join(in.Close(), <-done); err != nil {
		t.Error(err)
	}
}
