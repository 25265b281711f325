package local

import (
	"strings"
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/vfs"
)

// TestListsThatNameThemselves: a list that includes itself, once or often, ends before it has taken the memory of all. Any user may
// write one, in his .forward.
func TestListsThatNameThemselves(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 60<<10)
	for name, c := range map[string]struct {
		rest string
		want dsn.Status
	}{
		"once":  {"x@far.test\n", dsn.LoopDetected},
		"often": {strings.Repeat(":include:/spool/list\n", 500), dsn.Make(5, 2, 4)},
		"long":  {strings.Repeat(long+"\n", 12), dsn.Make(5, 2, 4)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := disk(t)
			if err := vfs.Replace(disk, "/spool/list", []byte(":include:/spool/list\n"+c.rest)); err != nil {
				t.Fatal(err)
			}
			a := made(t, disk, &queued{}, "{loop = :include:/spool/list}", nil)
			to := addr.Address{Local: "loop", Domain: "here.test"}
			d := &delivery{a: a, r: request("loop@here.test"), seen: map[key]bool{}}
			d.to = d.r.Envelope.Recipients[0]
			d.recipient(t.Context(), place{at: to})
			if len(d.failed) == 0 || d.read > 2*maxListBytes {
				t.Errorf("%d failures, %d octets", len(d.failed), d.read)
			}
			found := false
			for _, err := range d.failed {
				found = found || err.Status == c.want
				if err.Temporary() {
					t.Fatal(err)
				}
			}
			if !found {
				t.Errorf("%v", d.failed[0])
			}
			if name == "once" && d.lookups > 10*maxLevel {
				t.Errorf("%d steps", d.lookups)
			}
		})
	}
}
