package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/service"
)

func listenUnix(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err == nil {
		l.(*net.UnixListener).SetUnlinkOnClose(false)
	}
	return l, err
}

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// certificate replaces that of an instance by one for a name and a time.
func certificate(t *testing.T, dir, name string, from, to time.Time, more ...*pem.Block) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	text := []byte{}
	for _, b := range append(more, &pem.Block{Type: "CERTIFICATE", Bytes: der}) {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	must(t, errors.Join(os.Remove(dir+"/tls/cert.pem"), os.WriteFile(dir+"/tls/cert.pem", text, 0o600)))
}

// warned are the warnings of Files, but for those of the parameters alone.
func warned(c *configs.Config) (out []string) {
	for _, w := range FileWarnings(c, noon) {
		out = append(out, strings.TrimPrefix(w.Error(), c.File))
	}
	return out
}

// expect compares warnings with what is to be in each, in order.
func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d warnings, want %d: %q", what, len(got), len(want), got)
		return
	}
	for i, w := range want {
		if !strings.Contains(got[i], w) {
			t.Errorf("%s: %q does not say %q", what, got[i], w)
		}
	}
}

// TestCertificatesThatEnd: one of a year is warned about two weeks before, one of days in the
// last third of its life; the names that it is for are compared with main.hostname.
func TestCertificatesThatEnd(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	dir := made(t)
	c, _ := changed(t, dir)
	for what, v := range map[string]struct {
		name     string
		from, to time.Duration
		want     []string
	}{
		"good":                       {"mx.test", -day, 365 * day, nil},
		"just good":                  {"mx.test", -100 * day, 14 * day, nil},
		"nearly over":                {"mx.test", -100 * day, 14*day - time.Second, []string{"ends on 2026-12-11"}},
		"a short one":                {"mx.test", -4 * day, 2 * day, nil},
		"a short one in its third":   {"mx.test", -4 * day, 2*day - time.Second, []string{"ends on 2026-11-29"}},
		"at its end":                 {"mx.test", -4 * day, 0, []string{"ends on 2026-11-27"}},
		"over":                       {"mx.test", -100 * day, -time.Second, []string{"expired on 2026-11-27: no client"}},
		"not yet":                    {"mx.test", time.Second, 100 * day, []string{"is not valid before 2026-11-27"}},
		"of this moment":             {"mx.test", 0, 100 * day, nil},
		"for another":                {"other.test", -day, 100 * day, []string{"no certificate is for main.hostname, mx.test"}},
		"for all below":              {"*.test", -day, 100 * day, nil},
		"for another, and over, too": {"other.test", -9 * day, -day, []string{"expired", "no certificate is for main.hostname"}},
	} {
		certificate(t, dir, v.name, noon.Add(v.from), noon.Add(v.to))
		expect(t, what, warned(c), v.want...)
	}
	// Keys and parameters may stand before the certificate in its file.
	certificate(t, dir, "mx.test", noon.Add(-day), noon.Add(-time.Hour), &pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 1, 1}})
	expect(t, "behind other blocks", warned(c), "expired")
	// What is no certificate is a mistake, and no warning.
	must(t, os.WriteFile(dir+"/tls/cert.pem", []byte("-----BEGIN X-----\n-----END X-----\n"), 0o600))
	expect(t, "none", warned(c), "no certificate is for main.hostname")
}

// TestFilesOpenToOthers: each secret that others may read or change is named with its mode and
// the command that mends it.
func TestFilesOpenToOthers(t *testing.T) {
	t.Parallel()
	dir := made(t)
	certificate(t, dir, "mx.test", noon.Add(-time.Hour), noon.Add(1e3*time.Hour))
	c, _ := changed(t, dir)
	for name, v := range map[string]struct {
		modes map[fs.FileMode]string // to a piece of the warning, "" for none
	}{
		"toastmaster.toml": {map[fs.FileMode]string{0o640: "", 0o660: "", 0o644: "the configuration may be read by others: " + dir + "/toastmaster.toml has mode 0644; `chmod 0640 ", 0o602: "the configuration may be changed by others", 0o601: "read"}},
		"tls/key.pem":      {map[fs.FileMode]string{0o600: "", 0o640: "", 0o604: "the key may be read by others", 0o660: "the key may be changed", 0o650: "the key may be read"}},
		"tls/cert.pem":     {map[fs.FileMode]string{0o644: "", 0o664: "", 0o646: "the certificate may be changed by others"}},
		"directory.db":     {map[fs.FileMode]string{0o660: "", 0o644: "the database, which has the password hashes, may be read by others"}},
		"mail":             {map[fs.FileMode]string{0o770: "", 0o755: "the mail store may be read by others"}},
		"queue":            {map[fs.FileMode]string{0o770: "", 0o773: "the queue may be changed by others: " + dir + "/queue has mode 0773; `chmod 0770 " + dir + "/queue`"}},
	} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		must(t, err)
		for mode, want := range v.modes {
			must(t, os.Chmod(path, mode))
			if want == "" {
				expect(t, fmt.Sprintf("%s %04o", name, mode), warned(c))
			} else {
				expect(t, fmt.Sprintf("%s %04o", name, mode), warned(c), want)
			}
		}
		must(t, os.Chmod(path, info.Mode()))
	}
	// A key in the certificate's file is looked at as a key, once.
	text, err := os.ReadFile(dir + "/tls/key.pem")
	must(t, err)
	certificate(t, dir, "mx.test", noon.Add(-time.Hour), noon.Add(1e3*time.Hour), &pem.Block{Type: "X", Bytes: text})
	must(t, os.Chmod(dir+"/tls/cert.pem", 0o666))
	both, _ := changed(t, dir, "", "[tls]\ncertificates = [\"tls/cert.pem,tls/cert.pem\"]\n")
	expect(t, "one file for both", warned(both), "the key may be changed by others")
}

// TestAddressesOfOthers: a listener on an address that this machine does not have is a warning
// with its parameter, as it may come; a socket of a group lies where the group may go.
func TestAddressesOfOthers(t *testing.T) {
	t.Parallel()
	dir := made(t)
	certificate(t, dir, "mx.test", noon.Add(-time.Hour), noon.Add(1e3*time.Hour))
	c, _ := changed(t, dir, `listen_tls = ["127.0.0.1:20995"]`, `listen_tls = ["192.0.2.77:20995", ":20996", "127.0.0.1:20995"]`)
	expect(t, "addresses", warned(c), `pop3d.listen_tls: "192.0.2.77:20995" cannot be listened on`)

	group := map[bool]string{true: "12345", false: fmt.Sprint(os.Getegid())}[os.Geteuid() == 0]
	for mode, warns := range map[fs.FileMode]bool{0o700: true, 0o711: false, 0o710: os.Geteuid() == 0, 0o701: false} {
		run := filepath.Join(dir, fmt.Sprintf("run%o", mode))
		must(t, errors.Join(os.Mkdir(run, 0o700), os.Chmod(run, mode)))
		c, _ := changed(t, dir, "unix:lmtp.sock", "unix:"+run+"/lmtp.sock", "[lmtpd]\n", "[lmtpd]\nunix_listener_group = \""+group+"\"\n")
		if got := warned(c); warns != (len(got) == 1) || warns && (!strings.Contains(got[0], fmt.Sprintf("may not enter %s (mode %04o)", run, mode)) || !strings.Contains(got[0], "lmtpd.listen")) {
			t.Errorf("mode %o: %q", mode, got)
		}
		if os.Geteuid() == 0 {
			must(t, os.Chown(run, 0, 12345))
			if got := warned(c); (mode == 0o700) != (len(got) == 1) {
				t.Errorf("mode %o of the group: %q", mode, got)
			}
		}
	}
}

// TestWarningsOfTheDirectory: mail for postmaster is refused where nobody has the address.
func TestWarningsOfTheDirectory(t *testing.T) {
	t.Parallel()
	dir := made(t)
	for change, want := range map[string]string{
		"postmaster@mx.test":    "",
		"root@mx.test":          "",
		"nobody@mx.test":        "smtpd.postmaster: nobody has the address nobody@mx.test, so mail for postmaster is refused",
		"admin@elsewhere.test":  "",
		"postmaster@other.test": "",
	} {
		c, _ := changed(t, dir, `postmaster = "postmaster@mx.test"`, `postmaster = "`+change+`"`)
		plan, err := All(t.Context(), c, nil)
		must(t, err)
		got, err := Warnings(t.Context(), c, plan)
		must(t, err)
		if want == "" {
			expect(t, change, got)
		} else {
			expect(t, change, got, want)
		}
	}
}

// TestBusyPorts: what another program listens on is named with its parameter; what the start
// would find free, and what the service manager hands over, is not.
func TestBusyPorts(t *testing.T) {
	t.Parallel()
	dir := made(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	address := l.Addr().String()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	none := free.Addr().String()
	must(t, free.Close())
	c, lines := changed(t, dir, `listen_tls = ["127.0.0.1:20993"]`, "listen_tls = [\""+address+"\"]", `listen_tls = ["127.0.0.1:20995"]`, "listen_tls = [\""+none+"\"]",
		`submission_listen = ["127.0.0.1:20587"]`, "submission_listen = []", `submissions_listen = ["127.0.0.1:20465"]`, "submissions_listen = []", `listen = ["127.0.0.1:20025"]`, "listen = []",
		`"127.0.0.1:20024", `, "", `listen = ["127.0.0.1:20143"]`, "", `listen = ["127.0.0.1:20110"]`, "", `listen = ["127.0.0.1:20080"]`, "", `listen_tls = ["127.0.0.1:20443"]`, "")
	got := BusyPorts(t.Context(), c, nil)
	if len(got) != 1 || got[0].Param != "imapd.listen_tls" || !strings.Contains(lines[got[0].Line-1], address) || !strings.Contains(got[0].Error(), fmt.Sprintf("another program listens on %q", address)) {
		t.Errorf("%v", got)
	}
	if err := service.Try(address); err == nil {
		t.Error("the port was not busy")
	}
	must(t, l.Close())
	if got := BusyPorts(t.Context(), c, nil); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
