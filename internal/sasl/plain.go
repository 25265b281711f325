package sasl

import (
	"bytes"
	"context"
	"unicode/utf8"

	gosasl "github.com/emersion/go-sasl"
)

// maxValue bounds a name or password, in octets. RFC 4616 demands 255. It is no
// parameter: directory/password.MaxPassword is the same, and no name of a mailbox is
// longer.
const maxValue = 1024

// plain is PLAIN: authzid NUL authcid NUL password, in one response.
type plain struct {
	ctx    context.Context
	verify Verify
	asked  bool
}

func newPlain(ctx context.Context, verify Verify) gosasl.Server {
	return &plain{ctx: ctx, verify: verify}
}

// Next asks for the response, unless it came first, and verifies it.
func (p *plain) Next(response []byte) ([]byte, bool, error) {
	if response == nil && !p.asked {
		p.asked = true
		return []byte{}, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || !valid(parts[1]) || !valid(parts[2]) {
		return nil, false, ErrSyntax
	}
	if len(parts[0]) > 0 && !valid(parts[0]) {
		return nil, false, ErrSyntax
	}
	err := p.verify(p.ctx, "PLAIN", string(parts[0]), string(parts[1]), string(parts[2]))
	return nil, err == nil, err
}

// valid says that a name or password can be one.
func valid(value []byte) bool {
	return len(value) > 0 && len(value) <= maxValue && utf8.Valid(value) && bytes.IndexByte(value, 0) < 0
}
