package lmtpd

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/smtpserver"
)

// Rcpt is RCPT TO.
func (s *session) Rcpt(ctx context.Context, r smtpserver.Rcpt) *dsn.Error {
	address := r.To
	if address.Domain == "" {
		address = address.WithDomain(s.d.o.Hostname)
	}
	if s.asked.IsZero() {
		s.asked = s.d.o.Clock.Now()
	}
	decided := s.d.o.Directory.Destination(ctx, address)
	if decided.Err != nil {
		return decided.Err
	}
	s.rcpts = append(s.rcpts, recipient{address: address, copy: s.copyFor(address, decided.Found)})
	return nil
}

// copyFor is the index of the copy for an address, which found says whose it is.
// The same address in another case or in an alias domain has one already, as in
// mta/cleanup; another extension is another recipient, as there.
func (s *session) copyFor(address addr.Address, found directory.Recipient) int {
	box := found.Mailbox
	key := address.WithDomain(found.Matched.Domain).Fold()
	if i, ok := s.known[key]; ok && s.copies[i].box.Home == box.Home {
		return i
	}
	if s.known == nil {
		s.known = map[addr.Address]int{}
	}
	s.known[key] = len(s.copies)
	s.copies = append(s.copies, delivery{to: address, box: box})
	return s.known[key]
}
