package sasl

import (
	"context"

	gosasl "github.com/emersion/go-sasl"
)

// login is LOGIN. The texts of the challenges are those that every client
// knows; some compare them.
type login struct {
	ctx    context.Context
	verify Verify
	asked  bool
	name   []byte
}

func newLogin(ctx context.Context, verify Verify) gosasl.Server {
	return &login{ctx: ctx, verify: verify}
}

// Next asks for the name, unless it came as initial response, then for the
// password, and verifies.
func (l *login) Next(response []byte) ([]byte, bool, error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case !valid(response):
		return nil, false, ErrSyntax
	case l.name == nil:
		l.name = append([]byte(nil), response...)
		return []byte("Password:"), false, nil
	}
	err := l.verify(l.ctx, "LOGIN", "", string(l.name), string(response))
	return nil, err == nil, err
}
