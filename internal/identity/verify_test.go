package identity

import (
	"errors"
	"strings"
	"testing"

	"toastmaster/internal/vfs"
)

// TestVerify: only a whole part with the id is one.
func TestVerify(t *testing.T) {
	t.Parallel()
	ours, other, absent := New(), New(), errors.New("gone")
	for _, c := range []struct {
		found Found
		says  string
	}{
		{Found{State: Marked, ID: ours}, ""},
		{Found{State: Marked, ID: ours, Used: true}, ""},
		{Found{}, "/part is missing"},
		{Found{State: Claimed}, `/part has the instance id "", not "` + string(ours) + `"`},
		{Found{State: Unmarked, Used: true}, `/part has the instance id "", not`},
		{Found{State: Adopting, ID: ours}, "/part has the instance id"},
		{Found{State: Marked, ID: other}, `/part has the instance id "` + string(other) + `", not "` + string(ours) + `"`},
		{Found{State: Marked, ID: ours, Lacks: "/part/journal"}, "/part/journal is missing"},
	} {
		err := Verify(absent, "/part", c.found, ours)
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, absent) || !strings.HasPrefix(err.Error(), "gone: "+c.says)) {
			t.Errorf("%+v: %v", c.found, err)
		}
	}
	dir := t.TempDir()
	if err := VerifyFolder(absent, vfs.OS{}, dir, dir, ours); err == nil || err.Error() != "gone: "+dir+"/instance is missing" {
		t.Error(err)
	}
	if err := Write(vfs.OS{}, dir, ours); err != nil {
		t.Fatal(err)
	}
	if err := VerifyFolder(absent, vfs.OS{}, dir, dir, ours); err != nil {
		t.Error(err)
	}
	if err := VerifyFolder(absent, vfs.OS{}, dir, dir, other); err == nil || !strings.Contains(err.Error(), string(ours)) {
		t.Error(err)
	}
}
