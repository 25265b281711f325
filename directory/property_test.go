package directory_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
	"toastmaster/internal/addr"
)

// naive is the walk and the decision once more, as they are described and in no way
// as they are written: over lists, one rule after the other.
type naive struct {
	data static.Data
}

func (n naive) domain(name string) (d directory.Domain, real string, ok bool) {
	for _, one := range n.data.Domains {
		if one.Name == name {
			d, real, ok = one, name, true
		}
	}
	if d.AliasOf != "" {
		real = d.AliasOf
		for _, one := range n.data.Domains {
			if one.Name == real {
				d.Enabled = d.Enabled && one.Enabled
			}
		}
	}
	return d, real, ok
}

// is what stands under a key.
type is struct {
	key     string
	box     *directory.Account
	targets []string
	moved   bool
}

func (n naive) at(key string) (found is, ok bool) {
	found.key = key
	for i := range n.data.Accounts {
		if n.data.Accounts[i].Mailbox.Address.String() == key {
			found.box = &n.data.Accounts[i]
		}
	}
	found.targets = n.data.Aliases[key]
	_, found.moved = n.data.Relocated[key]
	return found, found.box != nil || found.targets != nil || found.moved
}

func (n naive) find(a addr.Address) (found is, ok bool) {
	_, real, _ := n.domain(a.Domain)
	local := strings.ToLower(a.Local)
	keys := []string{local}
	if i := strings.Index(local, "+"); i > 0 && local != "postmaster" {
		keys = append(keys, local[:i])
	}
	for _, key := range append(keys, "") {
		if found, ok = n.at(key + "@" + real); ok {
			return found, true
		}
	}
	return is{}, false
}

// verdict follows aliases to whoever gets the mail: anybody who takes it is enough.
func (n naive) verdict(a addr.Address) directory.Verdict {
	d, _, ok := n.domain(a.Domain)
	if !ok {
		return directory.Foreign
	}
	if !d.Enabled {
		return directory.Suspended
	}
	found, ok := n.find(a)
	switch {
	case !ok:
		return directory.Unknown
	case found.moved:
		return directory.Relocated
	case found.targets != nil:
		return directory.Forward // or why nobody takes it: see the test
	case !found.box.Mailbox.Enabled:
		return directory.Suspended
	}
	return directory.Deliver
}

// TestDecisionsAreAsDescribed: random directories, and each address of them.
func TestDecisionsAreAsDescribed(t *testing.T) {
	t.Parallel()
	seen := map[directory.Verdict]int{}
	for seed := range uint64(300) {
		data := tabletest.Random(rand.New(rand.NewPCG(seed, 2)))
		table, err := static.NewTable(data)
		if err != nil {
			t.Fatal(err)
		}
		d, n := directory.New(table, "+"), naive{data: data}
		for _, a := range tabletest.Universe() {
			q := directory.Question{Aliases: directory.Limits{Depth: 4, Addresses: 5}}
			got, want := d.Decide(t.Context(), a, q), n.verdict(a)
			seen[got.Verdict]++
			if want != directory.Forward {
				if got.Verdict != want {
					t.Fatalf("seed %d: %s: %s, want %s", seed, a, got.Verdict, want)
				}
				continue
			}
			// An alias is what the addresses are that it stands for.
			aliases(t, d, n, a, got)
		}
	}
	for v := directory.Foreign; v <= directory.Unexpandable; v++ {
		if v != directory.OverQuota && seen[v] < 20 {
			t.Errorf("%s came %d times", v, seen[v])
		}
	}
}

func aliases(t *testing.T, d *directory.Directory, n naive, a addr.Address, got directory.Decision) {
	t.Helper()
	if got.Verdict == directory.Unexpandable {
		return // of loops and limits: TestExpand's
	}
	var ends []directory.Verdict
	for _, to := range got.Addresses {
		end := n.verdict(to)
		if found, _ := n.find(to); end == directory.Forward {
			// It has named itself: what stands beside it gets the mail.
			switch {
			case found.box == nil:
				end = directory.Unknown
			case !found.box.Mailbox.Enabled:
				end = directory.Suspended
			default:
				end = directory.Deliver
			}
		}
		ends = append(ends, end)
		if after := d.Decide(t.Context(), to, directory.Question{Expanded: true}); after.Verdict != end {
			t.Fatalf("%s of %s, expanded: %s, want %s", to, a, after.Verdict, end)
		}
	}
	want := directory.Forward
	if !slices.Contains(ends, directory.Deliver) && !slices.Contains(ends, directory.Foreign) {
		want = ends[0]
	}
	if got.Verdict != want {
		t.Fatalf("%s stands for %v, which are %v: %s", a, got.Addresses, ends, got.Verdict)
	}
}
