package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
)

// policyRig is an agent with a table of policies, and a peer with a certificate for a name that
// the agent's roots vouch for.
func policyRig(t *testing.T, name, table string, change func(*configs.SMTP)) (*rig, *peer) {
	t.Helper()
	cert, pool := certificate(t, name)
	p := newPeer(t, "127.0.0.1:0")
	p.ehlo, p.underTLS, p.tls = []string{"STARTTLS"}, []string{"8BITMIME"}, &tls.Config{Certificates: []tls.Certificate{cert}}
	p.start()
	dir := t.TempDir()
	table = strings.ReplaceAll(table, "FINGERPRINT", fmt.Sprintf("%x", fingerprintOf(configs.SHA256, cert.Certificate[0])))
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	table = strings.ReplaceAll(table, "PUBLICKEY", fmt.Sprintf("%x", fingerprintOf(configs.SHA256, leaf.RawSubjectPublicKeyInfo)))
	table = strings.ReplaceAll(table, "PORT", itoa(p.port))
	file := filepath.Join(dir, "policy")
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup, Dir: dir})
	t.Cleanup(func() { set.Close() })
	return newRig(t, p.port, one(), func(c *configs.SMTP, o *Options) {
		c.TLSPolicyMaps = []string{"texthash:" + file}
		o.TLS, o.Tables = &tls.Config{RootCAs: pool}, set
		if change != nil {
			change(c)
		}
	}), p
}

// TestTLSPolicies: which certificate a policy takes, and that nothing leaves otherwise.
func TestTLSPolicies(t *testing.T) {
	t.Parallel()
	const refused = dsn.Status(4_007_005)
	sent := dsn.OK
	for _, c := range []struct {
		name, table string // the certificate's name, and the policies
		want        dsn.Status
		clear       bool
	}{
		{"mx.remote.test", "remote.test verify\n", sent, false},
		{"mx.remote.test", "remote.test secure\n", sent, false}, // dot-nexthop
		{"remote.test", "remote.test secure\n", sent, false},
		{"remote.test", "remote.test verify\n", refused, false},
		{"mx.other.test", "remote.test secure\n", refused, false},
		{"mx.other.test", "remote.test verify match=other.test:.other.test\n", sent, false},
		{"mx.other.test", "remote.test verify match=other.test match=mx.other.test\n", sent, false},
		{"other.test", "remote.test secure match=.other.test\n", refused, false},
		{"mx.other.test", "remote.test encrypt\n", sent, false},
		{"mx.other.test", "remote.test none\n", sent, true},
		{"mx.other.test", ".test none\n", sent, true},
		{"mx.other.test", "[remote.test] none\n", sent, false}, // another nexthop
		{"mx.other.test", "remote.test fingerprint match=FINGERPRINT\n", sent, false},
		{"mx.other.test", "remote.test fingerprint match=PUBLICKEY\n", sent, false},
		{"mx.other.test", "remote.test fingerprint match=" + strings.Repeat("00:", 31) + "00|FINGERPRINT\n", sent, false},
		{"mx.other.test", "remote.test fingerprint match=" + strings.Repeat("0", 64) + "\n", refused, false},
		{"mx.other.test", "remote.test fingerprint\n", refused, false},
		{"mx.other.test", "remote.test encrypt protocols=TLSv1.2 ciphers=high\n", sent, false},
		{"mx.remote.test", "remote.test verify servername=nexthop\n", sent, false},
		{"mx.remote.test", "remote.test dane\n", refused, false},
		{"mx.remote.test", "remote.test safe\n", refused, false},
		{"mx.remote.test", "remote.test may tafile=/x\n", refused, false},
		{"mx.remote.test", "remote.test encrypt match=x.test\n", refused, false},
		{"mx.remote.test", "remote.test may protocols=TLSv2\n", refused, false},
		{"mx.remote.test", "remote.test none match=x.test\n", refused, false},
	} {
		t.Run(c.name+" "+c.table, func(t *testing.T) {
			t.Parallel()
			r, p := policyRig(t, c.name, c.table, nil)
			got := r.deliver(request("remote.test", hello, "a@remote.test"))
			r.want(got, c.want)
			if _, n := p.count(); (n == 1) != (c.want == sent) {
				t.Errorf("%d messages", n)
			}
			if clear := len(p.seen("STARTTLS")) == 0; c.want == sent && clear != c.clear {
				t.Errorf("in clear: %v", clear)
			}
		})
	}
}

// TestTLSPolicyOfANexthop: a nexthop is looked up as it is written, without parents.
func TestTLSPolicyOfANexthop(t *testing.T) {
	t.Parallel()
	r, p := policyRig(t, "mx.other.test", "[127.0.0.1]:PORT none\n", func(c *configs.SMTP) { c.TLSLevel = configs.TLSVerify })
	r.agent.relay, _ = configs.ParseNexthop(p.nexthop())
	r.want(r.deliver(request(p.nexthop(), hello, "a@remote.test")), dsn.OK)
	if len(p.seen("STARTTLS")) != 0 {
		t.Errorf("%q", p.commands)
	}
}

// TestAPolicyThatIsNotThere: a table that cannot be asked sends nothing, in clear or not.
func TestAPolicyThatIsNotThere(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0").start()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	r := newRig(t, p.port, one(), func(c *configs.SMTP, o *Options) {
		c.TLSPolicyMaps, o.Tables = []string{"tcp:127.0.0.1:" + itoa(silentPort(t))}, set
	})
	r.want(r.deliver(request("remote.test", hello, "a@remote.test")), tlsFailed)
	if _, n := p.count(); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestTLSProtocolLists(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]configs.TLSVersions{
		">=TLSv1.2": {Min: tls.VersionTLS12, Max: tls.VersionTLS13}, "!SSLv2:!SSLv3": {Min: tls.VersionTLS10, Max: tls.VersionTLS13},
		"TLSv1.2": {Min: tls.VersionTLS12, Max: tls.VersionTLS12}, ">=TLSv1, <=tlsv1.2": {Min: tls.VersionTLS10, Max: tls.VersionTLS12},
		"!TLSv1.3": {Min: tls.VersionTLS10, Max: tls.VersionTLS12}, "": {Min: tls.VersionTLS10, Max: tls.VersionTLS13},
		"TLSv1 TLSv1.2": {}, "SSLv3": {}, "TLSv9": {}, "=TLSv1.2": {}, "!TLSv1.1": {},
	} {
		got, err := configs.ParseTLSProtocols(text)
		if (err == nil) != (want.Min != 0) || err == nil && got != want {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
}

// TestAPolicyWithAMistakeDoesNotGoElsewhere: a destination whose policy cannot be read keeps its mail:
// smtp.fallback_relay, which has another policy, does not get it, and the site is not blamed.
func TestAPolicyWithAMistakeDoesNotGoElsewhere(t *testing.T) {
	t.Parallel()
	r, p := policyRig(t, "mx.remote.test", "remote.test dane\n", func(c *configs.SMTP) { c.FallbackRelay = []string{"[127.0.0.1]"} })
	got := r.deliver(request("remote.test", hello, "a@remote.test"))
	r.want(got, tlsFailed)
	if sessions, n := p.count(); sessions != 0 || n != 0 || got[0].Site {
		t.Errorf("%d sessions, %d messages, %+v", sessions, n, got[0])
	}
}
