package rewrite

import (
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/addr"
)

// TestTheRelayhostIsTheOperatorsWord: by whatever transport: it may be in a private network.
func TestTheRelayhostIsTheOperatorsWord(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	c.Main.Hostname, c.SMTP.Relayhost = "mx.test", "[10.0.0.1]"
	c.Rewrite.SenderTransportMaps = []string{"inline:{ {@bulk.test=bulk:} }"}
	r := classesOf(t, c)
	for _, sender := range []string{"a@bulk.test", "a@here.test"} {
		route, err := r.Resolve(t.Context(), parsed(t, sender), parsed(t, "x@elsewhere.test"))
		if err != nil || route.Nexthop != "[10.0.0.1]" || !route.Chosen {
			t.Errorf("%s: %+v %v", sender, route, err)
		}
	}
	c.SMTP.Relayhost = ""
	if route, err := classesOf(t, c).Resolve(t.Context(), addr.Address{}, parsed(t, "x@elsewhere.test")); err != nil || route.Chosen {
		t.Errorf("%+v %v", route, err)
	}
}
