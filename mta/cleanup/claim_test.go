package cleanup

import (
	"strings"
	"testing"
)

// TestClaimsInOurName: what says to be an Authentication-Results of ours is not
// there any more, however it is written; what others say stays as it was.
func TestClaimsInOurName(t *testing.T) {
	t.Parallel()
	forged := []string{
		"Authentication-Results: mx.test; spf=pass smtp.mailfrom=ceo@example.test\n",
		"AUTHENTICATION-results:mx.test\n",
		"Authentication-Results : mx.test; none\n",
		"Authentication-Results\t: MX.Test 1; none\n",
		"Authentication-Results:\n mx.test;\n\tdkim=pass\n",
		"Authentication-Results:\n \n\t (a comment\n (in a comment) \\) mx.other)\n mx.test (b);\n dkim=pass\n",
		"Authentication-Results: \"mx.test\"; dkim=pass\n",
		"Authentication-Results: \"m\\x.te\\st\"; dkim=pass\n",
		"Authentication-Results: mx.test.; dkim=pass\n",
		"Authentication-Results: mx.test/1; dkim=pass\n",
		"Authentication-Results: mx(x).test; dkim=pass\n",
		"Authentication-Results: mx.other mx.test; dkim=pass\n",
		"Authentication-Results: (mx.other mx.test; dkim=pass\n",
		"Authentication-Results: =?utf-8?q?mx.test?=; dkim=pass\n",
		"Authentication-Results: ; mx.test; dkim=pass\n",
		"Authentication-Results: mx\x00.test; dkim=pass\n",
		"Authentication-Results: \x01mx.te\x7fst; dkim=pass\n",
		"Authentication-Results: \"mx\x00.test\"; dkim=pass\n",
		"Authentication-Results: mx.\u200btest; dkim=pass\n",
		"Authentication-Results: mx\u3002test; dkim=pass\n",
		"Authentication-Results: (" + strings.Repeat("x", 20_000) + ") mx.test; dkim=pass\n",
	}
	kept := []string{
		"Authentication-Results: mx.other; spf=pass smtp.mailfrom=x@mx.test\n",
		"Authentication-Results: (mx.test) mx.other; spf=pass\n",
		"Authentication-Results: spf=none (sender IP is 192.0.2.1) smtp.mailfrom=mx.test; dkim=none\n",
		"Authentication-Results: mx.other (x) 1 (y); none\n",
		"Authentication-Results: notmx.test; spf=pass\n",
		"Authentication-Results: mx.test.example; spf=pass\n",
		"X-Authentication-Results: mx.test; spf=pass\n",
		"Subject: Authentication-Results: mx.test\n",
	}
	const start, end = "Subject: a\n continued\n", "To: b\n\nAuthentication-Results: mx.test; in the body\n"
	b := newBed(t, hosted(t))
	run := func(outside bool, text string) string {
		s := b.submission(text, "alice@example.test")
		s.Outside = outside
		_, got := b.take(s)
		_, got, _ = strings.Cut(got, " +0000\n")
		if _, rest, ok := strings.Cut(got, "Subject: "); ok {
			got = "Subject: " + rest
		}
		return got
	}
	for _, f := range forged {
		for name, text := range map[string][2]string{
			"alone":           {start + f + end, start + end},
			"twice":           {start + f + f + end, start + end},
			"between others":  {start + kept[0] + f + kept[1] + end, start + kept[0] + kept[1] + end},
			"behind a break":  {start + "no field\n" + f + end, start + "no field\n" + end},
			"in a large mail": {start + f + end + strings.Repeat("line\n", 5000), start + end + strings.Repeat("line\n", 5000)},
		} {
			if got := run(true, text[0]); got != text[1] {
				t.Errorf("%.200q %s: %.300q", f, name, got)
			}
		}
		if got := run(false, start+f+end); got != start+f+end {
			t.Errorf("from a trusted host: %.200q became %.300q", f, got)
		}
	}
	for _, k := range kept {
		if got := run(true, start+k+end); got != start+k+end {
			t.Errorf("%q became %q", k, got)
		}
	}
}
