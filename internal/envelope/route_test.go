package envelope

import "testing"

func TestParseRoute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"smtp:": "smtp:", "scan:[127.0.0.1]:10025": "scan:[127.0.0.1]:10025", "a:b:c": "a:b:c",
		"": "", "smtp": "", ":x": "", "a b:c": "", "a:b c": "", "a:\n": "",
	} {
		r, ok := ParseRoute(text)
		if ok != (want != "") || ok && r.String() != want {
			t.Errorf("%q: %v %v", text, r, ok)
		}
	}
}
