package envelope

import "testing"

func TestXtext(t *testing.T) {
	t.Parallel()
	for text, encoded := range map[string]string{
		"":                  "",
		"alice@example.com": "alice@example.com",
		"a+b=c d":           "a+2Bb+3Dc+20d",
		"\x00\u00e9~":       "+00+C3+A9~",
	} {
		if got := EncodeXtext(text); got != encoded {
			t.Errorf("EncodeXtext(%q) = %q", text, got)
		}
		if got, ok := DecodeXtext(encoded); !ok || got != text {
			t.Errorf("DecodeXtext(%q) = %q, %v", encoded, got, ok)
		}
	}
	for _, bad := range []string{"a b", "a=b", "+", "+4", "+4g", "+2b", "caf\u00e9", "+41\n"} {
		if got, ok := DecodeXtext(bad); ok {
			t.Errorf("%q decoded to %q", bad, got)
		}
	}
}

func FuzzXtext(f *testing.F) {
	for _, seed := range []string{"", "a+b", "+41", "\xff=", "+4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := DecodeXtext(EncodeXtext(s)); !ok || got != s {
			t.Errorf("%q came back as %q, %v", s, got, ok)
		}
		if text, ok := DecodeXtext(s); ok && len(text) > len(s) {
			t.Errorf("%q grew to %q", s, text)
		}
	})
}
