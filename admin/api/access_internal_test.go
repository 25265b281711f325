package api

import (
	"context"
	"net/http"
	"os"
	"testing"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

// TestWhoIsSuperadminOnTheSocket: root and the service's own user, nobody else,
// and nobody who did not come by the socket.
func TestWhoIsSuperadminOnTheSocket(t *testing.T) {
	t.Parallel()
	h := &handlers{}
	stranger := os.Geteuid() + 12345
	for _, c := range []struct {
		peer peer
		want bool
	}{
		{peer{unix: true, uid: 0}, true},
		{peer{unix: true, uid: os.Geteuid()}, true},
		{peer{unix: true, uid: stranger}, false},
		{peer{unix: true, uid: -1}, false},
		{peer{unix: false, uid: 0}, false},
		{peer{unix: false, uid: os.Geteuid(), tls: true}, false},
	} {
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), peerKey{}, c.peer), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.identify(r)
		if (err == nil) != c.want || c.want != (p.Role == authz.Superadmin) || err != nil && model.KindOf(err) != model.Unauthenticated {
			t.Errorf("%+v: %+v, %v", c.peer, p, err)
		}
	}
}

// TestRolesAreAsked: an operation asks what its caller may, also where no
// token with that role can be made yet.
func TestRolesAreAsked(t *testing.T) {
	t.Parallel()
	h := &handlers{}
	as := func(p authz.Principal) context.Context {
		return context.WithValue(t.Context(), principalKey{}, p)
	}
	admin := as(authz.Principal{Role: authz.DomainAdmin, Scope: []string{"a.test"}})
	for name, call := range map[string]func() error{
		"add a domain": func() error { _, err := h.addDomain(admin, &body[model.NewDomain]{}); return err },
		"set its limits": func() error {
			_, err := h.setDomain(admin, &setDomainInput{DomainInput: DomainInput{"a.test"}})
			return err
		},
		"foreign mailbox": func() error {
			_, err := h.addMailbox(admin, &body[model.NewMailbox]{model.NewMailbox{Address: "x@b.test"}})
			return err
		},
		"foreign alias":  func() error { _, err := h.removeAlias(admin, &AddressInput{"x@b.test"}); return err },
		"all mailboxes":  func() error { _, err := h.listMailboxes(admin, &listMailboxesInput{}); return err },
		"bulk":           func() error { _, err := h.bulkAddMailboxes(admin, &bulkInput{}); return err },
		"queue":          func() error { _, err := h.listQueue(admin, &listQueueInput{}); return err },
		"queued content": func() error { _, err := h.queuedContent(admin, &queueInput{}); return err },
		"tokens":         func() error { _, err := h.addToken(admin, &body[model.NewToken]{}); return err },
		"audit":          func() error { _, err := h.listAudit(admin, &auditInput{}); return err },
		"status":         func() error { _, err := h.status(admin, nil); return err },
	} {
		if err := call(); model.KindOf(err) != model.Forbidden || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.listMailboxes(t.Context(), &listMailboxesInput{}); model.KindOf(err) != model.Unauthenticated {
		t.Errorf("without a principal: %v", err)
	}
}
