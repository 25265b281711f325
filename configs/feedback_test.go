package configs

import "testing"

func TestFeedback(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"1": 1, "0.5": 0.5, "0": 0, "1/concurrency": 0.25, "0.5/sqrt_concurrency": 0.25, "1/4": 0.25, "0.5/5": 0.1} {
		f, err := ParseFeedback(text)
		if got := f.Of(4); err != nil || got != want {
			t.Errorf("%s at four: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2", "-1", "NaN", "1/", "1/0", "1/-2", "concurrency", "1/concurrent", "1/NaN"} {
		if f, err := ParseFeedback(text); err == nil {
			t.Errorf("%q is %v", text, f)
		}
	}
}
