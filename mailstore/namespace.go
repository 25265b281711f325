package mailstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"toastmaster/mailstore/maildir"
)

// NamespaceKind is how RFC 2342 sorts namespaces.
type NamespaceKind uint8

// The kinds, in the order of the response.
const (
	Personal NamespaceKind = iota
	OtherUsers
	Shared
)

// Namespace is a part of the names of a session behind which there are other
// accounts than the principal's own. Its functions are called by many sessions at
// once, for every listing and every name, so what they answer from is theirs to keep
// at hand.
type Namespace struct {
	Kind NamespaceKind
	// Prefix is what its names begin with: one level or more, each with the
	// separator behind it, "Public/". A folder of the principal's own with such a
	// name is hidden by it.
	Prefix string
	// Accounts are those of which the principal sees anything. Others do not
	// exist for it.
	Accounts func(ctx context.Context, p Principal) ([]Mount, error)
	// Rights are what the principal may do with a mailbox of one of them, whose
	// name is as its owner says it. Of one that does not exist they are those of
	// the nearest that does above it.
	Rights func(ctx context.Context, p Principal, owner Account, mailbox string) (Rights, error)
}

// Mount is an account in a namespace.
type Mount struct {
	// Below is the name under which it stands below the prefix,
	// "bob@example.test"; "" in a namespace that is one account.
	Below string
	// Account is not made when its Maildir is missing.
	Account Account
}

// checkNamespaces says what is wrong with the namespaces of Options. They come out
// with the longest prefix first.
func checkNamespaces(all []Namespace, separator rune) ([]Namespace, error) {
	sep := string(separator)
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b Namespace) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	for i := range out {
		n := &out[i]
		root, ok := strings.CutSuffix(n.Prefix, sep)
		first, _, _ := strings.Cut(root, sep)
		if _, err := maildir.NewFolderDir(root, separator); !ok || err != nil || inbox(first) {
			return nil, fmt.Errorf("mailstore: %q is no prefix of a namespace: it must be a mailbox name outside of INBOX with %q behind it", n.Prefix, sep)
		}
		if n.Kind == Personal || n.Accounts == nil || n.Rights == nil {
			return nil, fmt.Errorf("mailstore: namespace %q must be of others, with accounts and rights", n.Prefix)
		}
		for _, other := range out[:i] {
			if other.Prefix == n.Prefix {
				return nil, fmt.Errorf("mailstore: two namespaces have the prefix %q", n.Prefix)
			}
		}
	}
	return out, nil
}

// namespaceOf finds the namespace that a name lies in, and what follows its prefix:
// "" for the prefix itself, with or without its separator. nil is the personal one.
func (s *Store) namespaceOf(name string) (n *Namespace, rest string) {
	for i := range s.namespaces {
		n := &s.namespaces[i]
		if rest, ok := strings.CutPrefix(name, n.Prefix); ok {
			return n, rest
		}
		if name == n.root(s.vol.Separator) {
			return n, ""
		}
	}
	return nil, name
}

// root is the prefix as the name of a mailbox.
func (n *Namespace) root(separator rune) string {
	return strings.TrimSuffix(n.Prefix, string(separator))
}

// find is the account that a name below the prefix lies in, the name there, and
// whether there is one. The name is "" for the place of the account itself; above
// that there is none, but there says so when it leads to some.
func find(mounts []Mount, rest, sep string) (at *Mount, inner string, there bool) {
	for i := range mounts {
		m := &mounts[i]
		var name string
		switch after, below := strings.CutPrefix(rest, m.Below+sep); {
		case m.Below == "":
			name = rest
		case below:
			name = after
		case rest == m.Below:
		case rest == "" || strings.HasPrefix(m.Below, rest+sep):
			there = true
			continue
		default:
			continue
		}
		if there = true; at == nil || len(m.Below) > len(at.Below) {
			at, inner = m, name
		}
	}
	return at, inner, there
}
