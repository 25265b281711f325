package lmtpd

import (
	"github.com/emersion/go-smtp"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// Rcpt is RCPT TO.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	address, err := addr.Parse(to)
	if err != nil {
		return dsn.Wrap(dsn.BadDestSyntax, "Bad recipient address syntax", err)
	}
	if address.Domain == "" {
		address = address.WithDomain(s.d.o.Hostname)
	}
	box, failed := directory.Destination(s.d.o.Directory.Recipient(s.c.Context(), address))
	if failed != nil {
		return failed
	}
	s.rcpts = append(s.rcpts, recipient{given: to, address: address, box: box})
	return nil
}
