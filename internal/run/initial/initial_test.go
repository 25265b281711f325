package initial

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/parts"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/tlsconf"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func options(dir string) Options {
	return Options{Dir: dir, PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"}
}

// TestCheck: a mistake of who asks is named by the flag that has it, and nothing is made.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Options)
		says   string // "" for a good one
	}{
		"good":                 {func(*Options) {}, ""},
		"no folder":            {func(o *Options) { o.Dir = "" }, "DIR is empty"},
		"no name":              {func(o *Options) { o.Hostname = "" }, "--hostname : "},
		"a bad name":           {func(o *Options) { o.Hostname = "a b" }, "--hostname a b: "},
		"an address":           {func(o *Options) { o.Postmaster = "ops@x.test" }, ""},
		"a local part":         {func(o *Options) { o.Postmaster = "ops" }, "--postmaster ops: must be an address with a domain"},
		"nobody":               {func(o *Options) { o.Postmaster = "<>" }, "--postmaster <>: "},
		"a bad address":        {func(o *Options) { o.Postmaster = "a@b@c" }, "--postmaster a@b@c: "},
		"all addresses":        {func(o *Options) { o.Host = "::" }, ""},
		"a name to listen":     {func(o *Options) { o.Host = "localhost" }, "--listen localhost: not an IP address"},
		"nothing to listen":    {func(o *Options) { o.Host = "" }, "--listen : not an IP address"},
		"LMTP elsewhere":       {func(o *Options) { o.LMTPHost = "192.0.2.1" }, ""},
		"LMTP nowhere":         {func(o *Options) { o.LMTPHost = "x" }, "--lmtp-listen x: not an IP address"},
		"the highest base":     {func(o *Options) { o.PortBase = 65535 - 4190 }, ""},
		"beyond it":            {func(o *Options) { o.PortBase = 65535 - 4189 }, "--port-base 61346: must be between 0 and 61345"},
		"below none":           {func(o *Options) { o.PortBase = -1 }, "--port-base -1: "},
		"the standard ports":   {func(o *Options) { o.PortBase = 0 }, ""},
		"an address with IPv6": {func(o *Options) { o.Host = "2001:db8::1" }, ""},
	} {
		dir := filepath.Join(t.TempDir(), "new")
		o := options(dir)
		c.change(&o)
		err := Check(o)
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, usage.Err) || !strings.HasPrefix(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
		if c.says == "" {
			continue
		}
		if _, err := Make(t.Context(), o); !errors.Is(err, usage.Err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something was made", name)
		}
	}
}

// TestText: what is written is read back as what was asked for, and says nothing else than that.
func TestText(t *testing.T) {
	t.Parallel()
	id := identity.New()
	for name, o := range map[string]Options{
		"loopback": options("/x"),
		"all":      {Dir: "/x", Hostname: "mx.test", Host: "::", User: "mail:mail", Instance: id, Postmaster: "ops@x.test"},
		"one":      {Dir: "/x", Hostname: "mx.test", Host: "192.0.2.1", LMTPHost: "192.0.2.2", PortBase: 61345, Postmaster: "\"odd \\\"one\\\"\"@x.test"},
		"IPv6":     {Dir: "/x", Hostname: "mx.test", Host: "2001:db8::1", Postmaster: "ops@x.test"},
	} {
		c, err := configs.Parse("/x/toastmaster.toml", []byte(Text(o)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		host := o.Host
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		at := func(port int) []string { return []string{host + ":" + itoa(port+o.PortBase)} }
		for _, l := range []struct {
			what      string
			got, want []string
		}{
			{"smtpd.listen", c.SMTPD.Listen, at(25)}, {"smtpd.submission_listen", c.SMTPD.SubmissionListen, at(587)}, {"smtpd.submissions_listen", c.SMTPD.SubmissionsListen, at(465)},
			{"imapd.listen", c.IMAPD.Listen, at(143)}, {"imapd.listen_tls", c.IMAPD.ListenTLS, at(993)}, {"pop3d.listen", c.POP3D.Listen, at(110)}, {"pop3d.listen_tls", c.POP3D.ListenTLS, at(995)},
			{"admin.listen", c.Admin.Listen, at(80)}, {"admin.listen_tls", c.Admin.ListenTLS, at(443)},
			{"lmtpd.listen", c.LMTPD.Listen, []string{map[bool]string{true: Loopback, false: o.LMTPHost}[o.LMTPHost == ""] + ":" + itoa(24+o.PortBase), "unix:lmtp.sock"}},
		} {
			if !slices.Equal(l.got, l.want) {
				t.Errorf("%s: %s is %q, want %q", name, l.what, l.got, l.want)
			}
		}
		if c.Main.Hostname != o.Hostname || c.Main.User != o.User || c.Main.Instance != string(o.Instance) || c.SMTPD.Postmaster != o.Postmaster || c.Dir() != "/x" {
			t.Errorf("%s: %+v %q", name, c.Main, c.SMTPD.Postmaster)
		}
		// Of a host with one address its own mail comes from there, and from nowhere else.
		trusted := map[string][]string{"one": {"127.0.0.0/8", "::1/128", "192.0.2.1/32"}, "IPv6": {"127.0.0.0/8", "::1/128", "2001:db8::1/128"}}[name]
		if trusted == nil {
			trusted = configs.Default().Main.TrustedNetworks
		}
		if !slices.Equal(c.Main.TrustedNetworks, trusted) {
			t.Errorf("%s trusts %q", name, c.Main.TrustedNetworks)
		}
	}
}

func itoa(n int) string {
	digits := ""
	for ; n > 0; n /= 10 {
		digits = string(rune('0'+n%10)) + digits
	}
	return digits
}

// TestMake: what was made can be started, nobody can read it but its user, and mail for
// postmaster and root is somebody's, who cannot log in yet.
func TestMake(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	c, err := Make(t.Context(), options(dir))
	must(t, err)
	plan, err := parts.Look(t.Context(), c)
	if err != nil || string(plan.ID) != c.Main.Instance || plan.ID == "" || plan.Adopted() != "" {
		t.Errorf("%+v, %v; configured %q", plan, err, c.Main.Instance)
	}
	loaded, err := configs.Load(filepath.Join(dir, "toastmaster.toml"))
	must(t, err)
	if loaded.Main.Instance != c.Main.Instance || loaded.SMTPD.Postmaster != "postmaster@mx.test" {
		t.Errorf("%q, %q", loaded.Main.Instance, loaded.SMTPD.Postmaster)
	}
	for name, mode := range map[string]fs.FileMode{".": 0o700, "tls": 0o700, "tls/key.pem": 0o600, "toastmaster.toml": 0o640, "mail": 0o700, "queue": 0o700, "directory.db": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	certificates, err := tlsconf.Load(listeners.TLS(c, msglog.Discard(), clock.System{}))
	must(t, err)
	if leaf := certificates.Leaves()[0]; leaf.VerifyHostname("mx.test") != nil || leaf.NotAfter.Before(time.Now().Add(300*24*time.Hour)) {
		t.Errorf("%v until %v", leaf.DNSNames, leaf.NotAfter)
	}
	backend, closeIt, err := parts.Answers(c)
	must(t, err)
	d := directory.New(backend, "")
	for _, local := range []string{"postmaster", "root"} {
		a, err := addr.Parse(local + "@mx.test")
		must(t, err)
		decided := d.Decide(t.Context(), a, directory.Question{Expanded: true})
		if decided.Found.Kind == 0 {
			t.Errorf("%s: %+v", local, decided)
		}
	}
	must(t, closeIt())
}

// TestMakeTwice changes nothing, and one that was interrupted at any place goes on.
func TestMakeTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Make(t.Context(), options(dir))
	must(t, err)
	file := filepath.Join(dir, "toastmaster.toml")
	text, err := os.ReadFile(file)
	must(t, err)
	key, err := os.ReadFile(filepath.Join(dir, "tls/key.pem"))
	must(t, err)
	if _, err := Make(t.Context(), options(dir)); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("%v", err)
	}
	if again, err := os.ReadFile(file); err != nil || string(again) != string(text) {
		t.Errorf("the configuration is another: %v", err)
	}
	// The configuration comes last: without it all the rest may be there.
	must(t, os.Remove(file))
	second, err := Make(t.Context(), options(dir))
	must(t, err)
	if again, err := os.ReadFile(filepath.Join(dir, "tls/key.pem")); err != nil || string(again) != string(key) || second.Main.Instance != first.Main.Instance {
		t.Errorf("made anew: %v, id %q and %q", err, first.Main.Instance, second.Main.Instance)
	}
	// A link that leads nowhere is somebody's configuration, too.
	must(t, errors.Join(os.Remove(file), os.Symlink("elsewhere", file)))
	if _, err := Make(t.Context(), options(dir)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	// The postmaster that was named gets no mailbox.
	named := options(t.TempDir())
	named.Postmaster = "ops@elsewhere.test"
	c, err := Make(t.Context(), named)
	must(t, err)
	backend, closeIt, err := parts.Answers(c)
	must(t, err)
	a, err := addr.Parse("postmaster@mx.test")
	must(t, err)
	if v := directory.New(backend, "").Decide(t.Context(), a, directory.Question{Expanded: true}).Verdict; v != directory.Foreign {
		t.Errorf("hosted: %v", v)
	}
	must(t, closeIt())
	if c.SMTPD.Postmaster != named.Postmaster {
		t.Errorf("%q", c.SMTPD.Postmaster)
	}
}

// TestDefaultHostname is a name that Check takes, whatever this machine is called.
func TestDefaultHostname(t *testing.T) {
	t.Parallel()
	o := options("/x")
	if o.Hostname = DefaultHostname(); Check(o) != nil {
		t.Errorf("%q", o.Hostname)
	}
}
