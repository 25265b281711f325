package sasl

import (
	"context"
	"strings"

	gosasl "github.com/emersion/go-sasl"
)

// Verify decides about what a mechanism has learnt. authzid is "" or who the
// client wants to be, authcid who it is. Its error ends the exchange and is
// returned as it is.
type Verify func(ctx context.Context, mechanism, authzid, authcid, password string) error

// row is one mechanism.
type row struct {
	name string
	make func(ctx context.Context, verify Verify) gosasl.Server
}

// table lists the mechanisms, in the order in which they are offered.
func table() []row {
	return []row{
		{"PLAIN", newPlain},
		{"LOGIN", newLogin},
	}
}

// Names are the mechanisms, in the order in which to offer them.
func Names() []string {
	rows := table()
	out := make([]string, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.name)
	}
	return out
}

// New makes the server side of a mechanism, whose name is case-insensitive.
// False means that there is no such mechanism.
func New(ctx context.Context, mechanism string, verify Verify) (gosasl.Server, bool) {
	for _, r := range table() {
		if strings.EqualFold(r.name, mechanism) {
			return r.make(ctx, verify), true
		}
	}
	return nil, false
}
