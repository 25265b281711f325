package cleanup

import (
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/envelope"
)

// TestOverrides: without mappings nobody is expanded, mapped or copied to; without checks no table is asked. What a restriction wants is done
// all the same.
func TestOverrides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		override   envelope.Override
		recipients string
		refused    bool
	}{
		"nothing":     {envelope.Override{}, "", true},
		"no checks":   {envelope.Override{NoChecks: true}, "alice@example.test bob@example.test far@elsewhere.test wanted@elsewhere.test always@elsewhere.test", false},
		"no mappings": {envelope.Override{NoMappings: true, NoChecks: true}, "two@example.test wanted@elsewhere.test", false},
	} {
		b := newBed(t, hosted(t))
		config := configs.Default()
		config.Cleanup.HeaderChecks = []string{"regexp:{ {/^Subject: x/ REJECT} }"}
		b.checks(config)
		b.c.o.Copies.always = address(t, "always@elsewhere.test")
		s := b.submission(simple, "two@example.test")
		s.Incoming, s.Override = true, c.override
		s.Envelope.BCC = append(s.Envelope.BCC, address(t, "wanted@elsewhere.test"))
		if c.refused {
			if _, err := b.c.Submit(t.Context(), s); err == nil {
				t.Errorf("%s: it is not checked", name)
			}
			continue
		}
		env, _ := b.take(s)
		if got := recipients(env); got != c.recipients {
			t.Errorf("%s: %s, want %s", name, got, c.recipients)
		}
	}
}

// TestContentFilterWithoutSMTP: mail of the command sendmail and of QMQP goes by the filter, unless a restriction or a table says
// otherwise; reports, and what a mailbox or a table of users sends on, do not.
func TestContentFilterWithoutSMTP(t *testing.T) {
	t.Parallel()
	for protocol, filtered := range map[string]bool{"local": true, "QMQP": true, "ESMTP": false, "bounce": false, "redirect": false} {
		b := newBed(t, hosted(t))
		b.c.o.Params.ContentFilter = "scan:[127.0.0.1]:10025"
		for _, made := range []bool{false, true} {
			s := b.submission(simple, "alice@example.test")
			s.Envelope.Origin.Came(protocol)
			s.Incoming = !made
			env, _ := b.take(s)
			if want := filtered && !made; (env.Filter != nil) != want || want && env.Filter.String() != "scan:[127.0.0.1]:10025" {
				t.Errorf("%s, made here %v: %v", protocol, made, env.Filter)
			}
		}
		s := b.submission(simple, "alice@example.test")
		s.Envelope.Origin.Came(protocol)
		s.Incoming, s.Envelope.Filter = true, &envelope.Route{Transport: "other"}
		if env, _ := b.take(s); env.Filter.Transport != "other" {
			t.Errorf("%s: %v", protocol, env.Filter)
		}
	}
}
