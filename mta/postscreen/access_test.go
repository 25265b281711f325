package postscreen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
)

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// TestAccessList: the first item that says something counts, and who is permitted is not even
// remembered.
func TestAccessList(t *testing.T) {
	t.Parallel()
	cidr := filepath.Join(t.TempDir(), "access")
	must(t, os.WriteFile(cidr, []byte("127.0.1.1 permit\n127.0.1.2 dunno\n127.0.1.3 OK\n127.0.1.0/24 reject\n"), 0o600))
	for _, c := range []struct{ list, client, says string }{
		{"permit_mynetworks reject", "127.0.0.1", "permit"}, {"permit_mynetworks reject", "127.0.0.2", "reject"},
		{"permit_mynetworks cidr:" + cidr, "127.0.1.1", "permit"}, {"cidr:" + cidr, "127.0.1.4", "reject"},
		{"cidr:" + cidr + " reject", "127.0.2.1", "reject"}, {"cidr:" + cidr, "127.0.2.1", ""},
		{"cidr:" + cidr + " permit", "127.0.1.2", "permit"}, {"cidr:" + cidr, "127.0.1.3", "said OK"},
		{"static:permit", "127.0.0.2", "permit"}, {"static:reject", "127.0.0.2", "reject"}, {"permit", "127.0.0.2", "permit"},
		{"fail:no", "127.0.0.2", "does not answer"}, {"fail:no permit", "127.0.0.2", "permit"},
		{"inline:{{127.0.0.2=permit}}", "127.0.0.2", "permit"}, {"inline:{{127.0.0=reject}}", "127.0.0.2", ""}, {"", "127.0.0.1", ""},
	} {
		r := newRig(t, func(r *rig) {
			r.params.AccessList, r.params.DenylistAction = strings.Fields(c.list), configs.ScreenDrop
		})
		p := r.dial(c.client)
		switch c.says {
		case "permit":
			p.hear("220 next")
			r.wantLog(c.client, "ALLOWLISTED CLIENT")
			if r.cache.Len() != 0 {
				t.Errorf("%s: %s is remembered", c.list, c.client)
			}
		case "reject":
			p.hear("521 5.3.2 Service currently unavailable", "")
			r.wantLog(c.client, "DENYLISTED CLIENT")
		default:
			p.hear("220-mx.test")
			want := map[string]string{"said OK": "text=OK", "does not answer": "does not answer"}[c.says]
			r.wantInLog(want)
		}
		must(t, r.stop())
	}
	r := newRig(t, nil)
	for _, bad := range []configs.Postscreen{
		{AccessList: []string{"nonsense:x"}}, {DNSBLReplyMap: []string{"nonsense:x"}}, {DNSBLSites: []string{"a b"}}, {AllowlistInterfaces: []string{"x"}},
	} {
		o := r.screen.o
		o.Params = bad
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "postscreen.") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestDenylistActions: ignore tests it as everybody else, enforce lets it talk for the log.
func TestDenylistActions(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.params.AccessList = []string{"reject"} })
	r.greeted("127.0.0.2").hear("220 next")
	r.dial("127.0.0.2").hear("220 next")
	r.wantLog("127.0.0.2", "DENYLISTED CLIENT", "PASS NEW CLIENT", "DENYLISTED CLIENT", "PASS OLD CLIENT")

	r = newRig(t, func(r *rig) { r.params.AccessList, r.params.DenylistAction = []string{"reject"}, configs.ScreenEnforce })
	for range 2 {
		p := r.greeted("127.0.0.2")
		p.hear("220 mx.test")
		p.ask("HELO c\r\n", "250")
		p.ask("MAIL FROM:<>\r\n", "250")
		p.ask("RCPT TO:<b@y.test>\r\n", "550 5.3.2 Service currently unavailable")
		p.ask("QUIT\r\n", "221", "")
	}
	if r.cache.Len() != 0 {
		t.Error("it is remembered")
	}
}

// TestListChangesDuringASession: who is denied in the middle of its wait is denied the next time.
func TestListChangesDuringASession(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "access")
	must(t, os.WriteFile(file, []byte("127.0.9.9 permit\n"), 0o600))
	r := newRig(t, func(r *rig) {
		r.params.AccessList, r.params.DenylistAction = []string{"cidr:" + file}, configs.ScreenDrop
	})
	p := r.dial("127.0.0.2")
	p.hear("220-mx")
	r.waiting(1)
	must(t, os.WriteFile(file, []byte("127.0.0.2 reject\n"), 0o600))
	r.clock.Advance(6 * time.Second)
	p.hear("220 next")
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // a table looks at its file now and then
		q := r.dial("127.0.0.2")
		line, err := q.in.ReadString('\n')
		_ = q.Close()
		if err == nil && strings.HasPrefix(line, "521 5.3.2") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%q %v", line, err)
		}
	}
	p.ask("x\r\n", "250 you said x")
}
