package main

import (
	"testing"

	"toastmaster/configs"
)

// Every mail host has a postmaster (RFC 5321 section 4.5.1), a demo too.
func TestDemoHasAPostmaster(t *testing.T) {
	t.Parallel()
	c, err := configs.Parse("demo.toml", []byte(initialText(demoOptions())))
	if err != nil {
		t.Fatal(err)
	}
	if c.SMTPD.Postmaster != "alice@example.test" {
		t.Errorf("postmaster %q", c.SMTPD.Postmaster)
	}
}
