package store_test

import (
	"context"
	"strings"
	"testing"

	"toastmaster/admin/model"
)

func TestAnAddressIsOneThingOrMailboxAndAlias(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	add := map[string]func(address string) error{
		"mailbox": func(a string) error {
			_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: a})
			return err
		},
		"alias": func(a string) error {
			_, err := b.AddAlias(ctx, me, model.NewAlias{Address: a, AliasChange: model.AliasChange{Targets: []string{"x@y.test"}}})
			return err
		},
		"relocated": func(a string) error {
			_, err := b.AddRelocated(ctx, me, model.NewRelocated{Address: a, RelocatedChange: model.RelocatedChange{MovedTo: "x@y.test"}})
			return err
		},
	}
	for first, addFirst := range add {
		address := first + "@a.test"
		if err := addFirst(address); err != nil {
			t.Fatal(err)
		}
		for second, addSecond := range add {
			if first != second && first != "relocated" && second != "relocated" {
				continue
			}
			err := addSecond(strings.ToUpper(address))
			wantKind(t, first+" then "+second, err, model.Exists)
			if err != nil && !strings.Contains(err.Error(), first) {
				t.Errorf("%v does not say what it is", err)
			}
		}
	}
	wantKind(t, "remove as another kind", b.RemoveAlias(ctx, me, "mailbox@a.test"), model.NotFound)
	_, err := b.RemoveMailbox(ctx, me, "alias@a.test")
	wantKind(t, "remove as another kind", err, model.NotFound)
}
