package mailstore

import (
	"context"
	"errors"
)

// Delivered lists the IDs of all deliveries with one that a mailbox has had: of the
// messages in it, and of those that were expunged or moved away, for as long as their
// names are remembered (store.expunge_memory). None for a mailbox that does not exist.
func (s *Store) Delivered(ctx context.Context, a Account, folder string) ([]string, error) {
	acct, err := s.acquireExisting(a)
	if acct == nil {
		return nil, err
	}
	defer s.putAccount(acct)
	mb, err := acct.open(ctx, folder)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer mb.Put()
	return mb.Delivered(ctx)
}
