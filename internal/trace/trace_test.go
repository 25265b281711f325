package trace

import (
	"crypto/tls"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))

func TestReceived(t *testing.T) {
	t.Parallel()
	alice, umlaut := addr.Address{Local: "alice", Domain: "example.test"}, addr.Address{Local: "ö", Domain: "example.test"}
	client := &envelope.Origin{Protocol: "ESMTPS", ClientAddr: "2001:db8::1", ClientName: "c.test", Helo: "evil (x)\nA: b", TLS: "TLS1.3 (y)\n"}
	for want, r := range map[string]Received{
		"Received: from evil??x??A:?b (c.test [IPv6:2001:db8::1])\n\t(using TLS1.3 ?y??)\n\tby mx.test (Toastmaster) with ESMTPS id Q1\n\tfor <alice@example.test>; Fri, 2 Jan 2026 03:04:05 +0100\n": {Origin: client, For: alice},
		"Received: by mx.test (Toastmaster, from bounce) id Q1; Fri, 2 Jan 2026 03:04:05 +0100\n":                                                                                                     {Origin: &envelope.Origin{Source: envelope.SourceBounce}},
		"Received: by mx.test (Toastmaster, from local) id Q1; Fri, 2 Jan 2026 03:04:05 +0100\n":                                                                                                      {Origin: &envelope.Origin{Source: envelope.SourceSendmail}, For: umlaut},
		"Received: by mx.test (Toastmaster) id Q1\n\tfor <ö@example.test>; Fri, 2 Jan 2026 03:04:05 +0100\n":                                                                                          {Origin: &envelope.Origin{}, For: umlaut, UTF8: true},
	} {
		r.By, r.ID, r.At = "mx.test", "Q1", at
		if got := string(r.Append(nil)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	state := &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	if got := TLS(state); got != "TLS 1.3 with cipher TLS_AES_128_GCM_SHA256" {
		t.Errorf("%q", got)
	}
	if got := TLS(nil); got != "" {
		t.Errorf("%q without TLS", got)
	}
}

func TestFinal(t *testing.T) {
	t.Parallel()
	a, b := addr.Address{Local: "a", Domain: "x.test"}, addr.Address{Local: "b", Domain: "x.test"}
	for want, f := range map[string]Final{
		"Return-Path: <>\nDelivered-To: a@x.test\n":                          {ReturnPath: "<>", To: a},
		"Return-Path: <s@y.test>\nDelivered-To: a@x.test\n":                  {ReturnPath: "<s@y.test>", To: a, Original: a},
		"Return-Path: <>\nX-Original-To: b@x.test\nDelivered-To: a@x.test\n": {ReturnPath: "<>", To: a, Original: b},
	} {
		if got := string(f.Append(nil)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
