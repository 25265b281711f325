package sasl

import (
	"encoding/base64"

	gosasl "github.com/emersion/go-sasl"

	"toastmaster/internal/dsn"
)

// MaxLine is the longest encoded line, in octets without its line end
// (RFC 4954 section 4).
const MaxLine = 12288

// The errors of an exchange that is not finished; RFC 4954 section 4 has the
// codes.
var (
	ErrCancelled = dsn.New(dsn.AuthRequired, "Authentication cancelled").WithCode(501)
	ErrSyntax    = dsn.New(dsn.SyntaxError, "Malformed authentication data").WithCode(501)
	ErrTooLong   = dsn.New(dsn.Make(5, 5, 6), "Authentication data too long").WithCode(500)
)

// Exchange runs a mechanism to its end. initial is the initial response as the
// client sent it, in base64, "=" for an empty one; nil when it sent none. ask
// sends a challenge, in base64 and maybe empty, and returns the client's line
// without its line end, valid until the next call; its error ends the exchange.
func Exchange(mechanism gosasl.Server, initial []byte, ask func(challenge []byte) ([]byte, error)) error {
	var response []byte
	if initial != nil {
		r, err := decodeInitial(initial)
		if err != nil {
			return err
		}
		response = r
	}
	for {
		challenge, done, err := mechanism.Next(response)
		if err != nil || done && len(challenge) == 0 {
			return err
		}
		line, err := ask(base64.StdEncoding.AppendEncode(nil, challenge))
		if err != nil {
			return err
		}
		if response, err = decode(line); err != nil {
			return err
		}
		if done {
			// The last challenge carried the server's proof (SCRAM); the
			// answer to it is empty.
			return nil
		}
	}
}

func decodeInitial(line []byte) ([]byte, error) {
	if len(line) == 1 && line[0] == '=' {
		return []byte{}, nil
	}
	return decode(line)
}

// decode reads one line of the client. The result is never nil, which would
// mean that there was no line.
func decode(line []byte) ([]byte, error) {
	if len(line) == 1 && line[0] == '*' {
		return nil, ErrCancelled
	}
	if len(line) > MaxLine {
		return nil, ErrTooLong
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(out, line)
	if err != nil {
		return nil, ErrSyntax
	}
	return out[:n], nil
}
