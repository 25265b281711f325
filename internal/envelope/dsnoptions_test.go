package envelope

import (
	"strings"
	"testing"
)

// TestNotifyHasOneForm: bits inside, and the text of the wire there and back.
func TestNotifyHasOneForm(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]Notify{
		"NEVER": NotifyNever, "never": NotifyNever, "SUCCESS": NotifySuccess, "delay,Failure": NotifyDelay | NotifyFailure,
		"SUCCESS,FAILURE,DELAY": NotifySuccess | NotifyFailure | NotifyDelay, "DELAY,DELAY": NotifyDelay, "failure,FAILURE": NotifyFailure,
	} {
		got, ok := ParseNotify(value)
		if again, ok2 := ParseNotify(got.String()); !ok || got != want || !ok2 || again != want {
			t.Errorf("%s: %v %v, again %v", value, got, ok, again)
		}
	}
	for _, bad := range []string{"", "NEVER,DELAY", "DELAY,NEVER", "NEVER,NEVER", "never,Never", "NEVER,", "SUCCESS,", ",SUCCESS", "SOMETIMES", "SUCCESS, DELAY"} {
		if n, ok := ParseNotify(bad); ok {
			t.Errorf("%q is %v", bad, n)
		}
	}
	if got := Notify(0).String(); got != "" {
		t.Error(got)
	}
}

// TestORcptIsKeptAsReceived: it is passed on unmodified (RFC 3461 section 4.2),
// but in ASCII.
func TestORcptIsKeptAsReceived(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"rfc822;o+2Bp@x.test":           "rfc822;o+2Bp@x.test",
		"rfc822;+6F@x.test":             "rfc822;+6F@x.test",
		"RFC822;o@x.test":               "rfc822;o@x.test",
		"x400;/g=x":                     "", // = is not xtext
		"utf-8;\u00f6@x.test":           `utf-8;\x{F6}@x.test`,
		"UTF-8;\u00f6@x.test":           `utf-8;\x{F6}@x.test`,
		"utf-8;a+b@x.test":              `utf-8;a\x{2B}b@x.test`,
		`utf-8;\x{F6}@x.test`:           `utf-8;\x{F6}@x.test`,
		`utf-8;\x{110000}@x.test`:       "",
		"utf-8;\xff":                    "",
		"rfc822;\u00f6@x.test":          "",
		"rfc822":                        "",
		"rfc822;":                       "",
		";x":                            "",
		"r\u00e9;x":                     "",
		"rfc822;+4":                     "",
		"a;" + strings.Repeat("x", 500): "",
		"a;" + strings.Repeat("x", 498): "a;" + strings.Repeat("x", 498),
		"a b;x":                         "",
		"\x7fa;x":                       "",
		"a;x;y":                         "a;x;y",
		"rfc822;+4G":                    "",
		"rfc822;+G4":                    "",
		"rfc822;+0A":                    "rfc822;+0A",
		"rfc822;+9F+F0":                 "rfc822;+9F+F0",
		"rfc822;+/0":                    "",
		"rfc822;+:0":                    "",
		"rfc822;+@0":                    "",
		// Forms of RFC 6533 section 3.
		"utf-8;o@x.test":                "utf-8;o@x.test",
		"utf-8;a=b@x.test":              `utf-8;a\x{3D}b@x.test`,
		"utf-8;\u20ac\U0001f600@x.test": `utf-8;\x{20AC}\x{1F600}@x.test`,
		`utf-8;\x{5C}\x{F6}+@x.test`:    `utf-8;\x{5C}\x{F6}\x{2B}@x.test`,
		`utf-8;\x{7F}+@x.test`:          `utf-8;\x{7F}\x{2B}@x.test`,
		`utf-8;\x{20}+@x.test`:          `utf-8;\x{20}\x{2B}@x.test`,
		`utf-8;\x{10FFFF}+`:             `utf-8;\x{10FFFF}\x{2B}`,
		`utf-8;\x{D800}`:                "", // half of a pair
		`utf-8;\x{100000000}`:           "",
		`utf-8;\x{F6`:                   "",
		`utf-8;\x{}`:                    "",
		`utf-8;\x{G}`:                   "",
		`utf-8;a\b`:                     "",
		"utf-8;a b":                     "",
		"utf-8;a\x7fb":                  "",
		"utf-8;\xc3":                    "",
	} {
		got, ok := ParseORcpt(value)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v, want %q", value, got, ok, want)
		}
	}
}

func TestEnvID(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"a+2Bb": true, "": false, "a+2": false, strings.Repeat("x", 100): true, strings.Repeat("x", 101): false} {
		if got := IsEnvID(value); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}
