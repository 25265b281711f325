package tables

import "testing"

// TestCutAlias as postalias(1) takes lines apart.
func TestCutAlias(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][2]string{
		"a: b": {"a", " b"}, `"two words": b, c`: {"two words", " b, c"}, `"a:b" : c`: {"a:b", " c"}, `a\:b: c`: {"a:b", " c"}, "a:\"|x: y\"": {"a", `"|x: y"`}, "a :include": {"a", "include"},
		"": {}, "a b": {}, ": b": {}, `"": b`: {}, `"a: b`: {},
	} {
		key, text, ok := cutAlias(line)
		if key != want[0] && ok || ok != (want[0] != "") || ok && text != want[1] {
			t.Errorf("%q: %q %q %v", line, key, text, ok)
		}
	}
}
