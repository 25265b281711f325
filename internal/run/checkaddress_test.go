package run

import (
	"strings"
	"testing"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/run/initial"
)

// TestCheckSaysWhatSMTPSays: `check` asks as RCPT does, with what stands beside the
// directory: smtpd.postmaster, and the transports of domains elsewhere.
func TestCheckSaysWhatSMTPSays(t *testing.T) {
	t.Parallel()
	c, err := initial.Make(t.Context(), initial.Options{Dir: t.TempDir(), PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	c.SMTPD.Listen, c.Admin.Listen, c.Admin.ListenTLS, c.Log.File = []string{"127.0.0.1:0"}, nil, nil, "log"
	c.Tables = []*configs.Transport{
		{Name: "closed", Agent: "error", Domains: []string{"closed.test"}, Nexthop: "5.1.2 This company is closed"},
		{Name: "moving", Agent: "retry", Domains: []string{"moving.test"}, Nexthop: "Moving house"},
		{Name: "trap", Agent: "discard", Domains: []string{"trap.test"}, Nexthop: "spam trap"},
		{Name: "peer", Agent: "smtp", Domains: []string{".far.test"}, Nexthop: "[192.0.2.1]:587"},
	}
	i, err := openInstance(t.Context(), Options{Config: c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}()
	host(t, i, static.Data{
		Domains: static.Hosted("a.test"), Aliases: map[string][]string{"dead@a.test": {"nobody@a.test"}, "out@a.test": {"x@closed.test"}},
	})
	t.Run("all", func(t *testing.T) {
		smtp := startService(t, i, openSMTPD)
		startService(t, i, openAdmin)
		api := client.NewUnix(c.Path(c.Admin.Socket))
		defer api.Close()
		for _, one := range []struct {
			address string
			want    model.Decision
		}{
			{"postmaster", model.Decision{Address: "postmaster", Verdict: "deliver", Taken: true, Mailbox: "postmaster@mx.test"}},
			{"PostMaster@a.test", model.Decision{Address: "postmaster@a.test", Verdict: "deliver", Taken: true, Mailbox: "postmaster@mx.test"}},
			{"nobody", model.Decision{Address: "nobody", Verdict: "unknown", Reply: "550 5.1.1 "}},
			{"abuse@a.test", model.Decision{Address: "abuse@a.test", Verdict: "unknown", Reply: "550 5.1.1 "}},
			{"dead@a.test", model.Decision{Address: "dead@a.test", Verdict: "unknown", Reply: "550 5.1.1 "}},
			{"x@closed.test", model.Decision{Address: "x@closed.test", Verdict: "foreign", Reply: "550 5.1.2 This company is closed"}},
			{"x@moving.test", model.Decision{Address: "x@moving.test", Verdict: "foreign", Reply: "450 4.1.1 Moving house"}},
			{"x@trap.test", model.Decision{Address: "x@trap.test", Verdict: "foreign", Taken: true, Transport: "trap", Nexthop: "spam trap"}},
			{"x@y.far.test", model.Decision{Address: "x@y.far.test", Verdict: "foreign", Taken: true, Transport: "peer", Nexthop: "[192.0.2.1]:587"}},
			{"x@far.test", model.Decision{Address: "x@far.test", Verdict: "foreign", Taken: true, Transport: "smtp", Nexthop: "far.test"}},
			{"x@[127.0.0.1]", model.Decision{Address: "x@[127.0.0.1]", Verdict: "unknown", Reply: "550 5.1.1 "}},
		} {
			got, err := api.Check(t.Context(), one.address)
			if err != nil {
				t.Errorf("%s: %v", one.address, err)
				continue
			}
			reply, want := got.Reply, one.want.Reply
			if got.Address != one.want.Address || got.Verdict != one.want.Verdict || got.Taken != one.want.Taken || got.Mailbox != one.want.Mailbox ||
				got.Transport != one.want.Transport || got.Nexthop != one.want.Nexthop || !strings.HasPrefix(reply, want) || want == "" && reply != "" {
				t.Errorf("%s: %+v", one.address, got)
			}
			a, err := addr.Parse(one.address)
			if err != nil {
				t.Fatal(err)
			}
			heard := replies(t, smtp, "EHLO", []addr.Address{a})[0]
			if said := heard == "250"; said != got.Taken || !said && !strings.HasPrefix(reply, heard+" ") {
				t.Errorf("%s: check says %q, SMTP %s", one.address, reply, heard)
			}
		}
	})
}
