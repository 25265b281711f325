package policy

import (
	"context"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// TestNobodyRoutesThroughARelayDomain: an address that names another host in its local part is not relayed for strangers: whoever
// has the relay domain may send it on. In a hosted domain it is a mailbox of that name.
func TestNobodyRoutesThroughARelayDomain(t *testing.T) {
	t.Parallel()
	e := environment(t)
	e.Class = func(_ context.Context, a addr.Address) (directory.Class, *dsn.Error, error) {
		if a.Domain == "relay.test" {
			return directory.RelayClass, nil, nil
		}
		return directory.DefaultClass, nil, nil
	}
	const denied = "Relay access denied"
	for to, want := range map[string]string{
		"x@relay.test": "DUNNO", "x+y@relay.test": "DUNNO", "x%far.test@relay.test": denied, "far.test!x@relay.test": denied, `"x@far.test"@relay.test`: denied,
		"x%far.test@example.test": "DUNNO", "x@elsewhere.test": denied,
	} {
		for _, name := range []string{"reject_unauth_destination", "permit_auth_destination reject_unauth_destination", "permit_mx_backup reject_unauth_destination"} {
			got := asked(t, e, strings.Fields(name), to, nil)
			if strings.Contains(got, denied) != (want == denied) {
				t.Errorf("%s: %s: %q", name, to, got)
			}
		}
		// A client that is trusted may.
		if got := asked(t, e, []string{"permit_mynetworks", "reject_unauth_destination"}, to, trusted); got != "PERMIT" {
			t.Errorf("trusted: %s: %q", to, got)
		}
	}
}
