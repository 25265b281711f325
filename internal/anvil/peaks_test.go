package anvil

import (
	"testing"
	"time"
)

// TestPeaks: the most that one client did to one service, who and when, also what was refused; nothing of users, networks and
// clients as such; and each time anew.
func TestPeaks(t *testing.T) {
	t.Parallel()
	c, clk := newCounter(Options{Unit: time.Minute, IPv6Bits: 56})
	begin := clk.Now()
	smtpd := func(a string) Key { return Name("smtpd").From(c.Client(ip(a))) }
	imapd := Name("imapd").From(c.Client(ip("2001:db8:0:1ff::1")))
	if got := c.TakePeaks(); len(got.List) != 0 || got.Keys != 0 {
		t.Errorf("nobody did %+v", got)
	}
	for range 3 {
		c.Take(Connect, smtpd("192.0.2.1"), 1, 0)
		c.Enter(Connect, smtpd("192.0.2.1"), 2) // the third is refused
	}
	c.Take(Connect, imapd, 1, 0)
	clk.Advance(time.Second)
	for range 4 {
		c.Enter(Connect, imapd, 0)
	}
	c.Take(Message, smtpd("192.0.2.2"), 5, 4) // refused
	c.Take(Recipient, smtpd("192.0.2.2"), 1, 4)
	c.Add(Handshake, smtpd("192.0.2.2"), 1)
	c.Add(Auth, smtpd("192.0.2.2"), 9)
	c.Take(Message, c.Client(ip("192.0.2.3")), 99, 0)
	c.Take(Message, Name("alice"), 99, 0)
	c.Take(Message, Name("smtpd").From(c.Network(ip("192.0.2.3"))), 99, 0)
	later := begin.Add(time.Second)
	want := []Peak{
		{"connection", false, 3, time.Minute, "smtpd", "192.0.2.1", begin},
		{"connection", true, 4, 0, "imapd", "2001:db8:0:100::/56", later},
		{"message", false, 5, time.Minute, "smtpd", "192.0.2.2", later},
		{"recipient", false, 1, time.Minute, "smtpd", "192.0.2.2", later},
		{"newtls", false, 1, time.Minute, "smtpd", "192.0.2.2", later},
	}
	got := c.TakePeaks()
	if len(got.List) != len(want) || got.Keys != 2 || !got.KeysAt.Equal(later) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got.List[i] != want[i] {
			t.Errorf("%+v, want %+v", got.List[i], want[i])
		}
	}
	if got := c.TakePeaks(); len(got.List) != 0 || got.Keys != 0 {
		t.Errorf("taken twice: %+v", got)
	}
	c.Take(AuthCommand, smtpd("192.0.2.2"), 1, 0)
	if got := c.TakePeaks().List; len(got) != 1 || got[0].What != "auth" || got[0].Value != 1 {
		t.Errorf("%+v", got)
	}
}

// TestHowMuchOfAnAddressIsAClient: as the options say, and a client that is as large as a network is still another key than
// that.
func TestHowMuchOfAnAddressIsAClient(t *testing.T) {
	t.Parallel()
	c, _ := newCounter(Options{IPv4Bits: 24, IPv6Bits: 40})
	for _, x := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.200", true}, {"192.0.2.1", "192.0.3.1", false}, {"2001:db8::1", "2001:db8:ff::1", true}, {"2001:db8::1", "2001:db8:100::1", false},
	} {
		if got := c.Client(ip(x.a)) == c.Client(ip(x.b)); got != x.same {
			t.Errorf("%s and %s are one client: %v", x.a, x.b, got)
		}
		if client, network := c.Client(ip(x.a)), c.Network(ip(x.a)); client == network || client.IsNetwork() || !network.IsNetwork() {
			t.Errorf("%s: client %+v, network %+v", x.a, client, network)
		}
	}
	// A network is never smaller than a client.
	if c.Network(ip("2001:db8::1")) != c.Network(ip("2001:db8:ff::1")) {
		t.Error("one client is in two networks")
	}
	if narrow, _ := newCounter(Options{IPv6Bits: 128}); narrow.Client(ip("2001:db8::1")) == narrow.Client(ip("2001:db8::2")) {
		t.Error("two addresses are one client")
	}
}
