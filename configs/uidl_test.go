package configs

import "testing"

func TestParseUIDL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format string
		ok     bool
	}{
		{"%08Xu%08Xv", true},
		{"%v-%u", true},
		{"UID%u-%v%%", true},
		{"%Xu", true},
		{"%f", true},
		{"%g", true},
		{"x-%g-%v", true},
		{"%08f", false},
		{"%Xg", false},
		{"%v", false},
		{"fixed", false},
		{"%8u", false},
		{"%u %v", false},
		{"%u%", false},
		{"%u%08", false},
		{"%u%m", false},
		{"%099u", false},
		{"%u-é", false},
	} {
		if _, err := ParseUIDL(c.format); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.format, err)
		}
	}
}
