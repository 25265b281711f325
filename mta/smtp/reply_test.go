package smtp

import (
	"strings"
	"testing"

	"toastmaster/internal/smtpreply"
)

func whole(t *testing.T, text string) *reply {
	t.Helper()
	r, err := smtpreply.Whole(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAStrangeReplyIsNeverPermanent(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"250 ok", "354 go on", "334 x", "250 5.1.1 no", "450 5.1.1 no"} {
		if r, err := smtpreply.Whole(in); err == nil {
			if e := failure(r, "h", "RCPT TO"); !e.Temporary() {
				t.Errorf("%q became %v", in, e)
			}
		}
	}
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	r := whole(t, "250-mx hello PIPELINING\r\n250-size 123\r\n250-AUTH plain LOGIN\r\n250-8bitmime\r\n250-\r\n250 DSN")
	e := parseExtensions(r, nil)
	if e.pipelining || !e.size || e.maxSize != 123 || !e.eightBit || !e.dsn || e.utf8 || strings.Join(e.auth, " ") != "PLAIN LOGIN" {
		t.Errorf("%+v", e)
	}
	for in, want := range map[string]int64{"": 0, "12x": 0, "99999999999999999999999": 0, "0": 0, "1048576": 1 << 20} {
		if got := parseSize(in); got != want {
			t.Errorf("%q: %d", in, got)
		}
	}
}
