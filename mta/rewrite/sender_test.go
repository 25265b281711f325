package rewrite

import (
	"testing"

	"toastmaster/configs"
)

// TestSomeMaySend: where a table says which senders may write to the world, and the transport of all others refuses, RCPT refuses
// nobody of them: only the sender says who it is.
func TestSomeMaySend(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	c.Main.Hostname, c.Rewrite.DefaultTransport = "mx.test", "closed:5.7.1 no mail to the world"
	to := parsed(t, "x@elsewhere.test")
	if e := classesOf(t, c).Refused(t.Context(), to, false); e == nil || e.Status.String() != "5.7.1" {
		t.Errorf("without a table: %v", e)
	}
	c.Rewrite.SenderTransportMaps = []string{"inline:{ {boss@here.test=smtp:} }"}
	r := classesOf(t, c)
	if e := r.Refused(t.Context(), to, false); e != nil {
		t.Errorf("with a table: %v", e)
	}
	for sender, want := range map[string]string{"boss@here.test": "smtp", "other@here.test": "closed"} {
		if route, err := r.Resolve(t.Context(), parsed(t, sender), to); err != nil || route.Transport != want {
			t.Errorf("%s: %+v %v", sender, route, err)
		}
	}
}
