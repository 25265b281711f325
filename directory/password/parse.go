package password

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrMalformed is wrapped by the errors about a stored hash that cannot be
// read. Their text never holds the hash.
var ErrMalformed = errors.New("malformed password hash")

// parsed is a stored hash after the scheme was recognised.
type parsed struct {
	scheme scheme
	// data is the text of a crypt scheme, or the decoded octets of a digest.
	data []byte
}

// parse splits "{SCHEME.ENCODING}data".
func parse(hash string) (parsed, error) {
	name, data := "CRYPT", hash
	if strings.HasPrefix(hash, "{") {
		end := strings.IndexByte(hash, '}')
		if end < 0 {
			return parsed{}, fmt.Errorf("%w: unterminated scheme", ErrMalformed)
		}
		name, data = strings.ToUpper(hash[1:end]), hash[end+1:]
	}
	name, suffix, _ := strings.Cut(name, ".")
	s, ok := schemeByName(name)
	if !ok {
		return parsed{}, fmt.Errorf("%w: unknown scheme", ErrMalformed)
	}
	enc, err := encodingOf(s, suffix, data)
	if err != nil {
		return parsed{}, err
	}
	octets, err := enc.decode(data)
	if err != nil {
		return parsed{}, err
	}
	return parsed{s, octets}, nil
}

type encoding uint8

const (
	encText encoding = iota
	encBase64
	encHex
)

// encodingOf is the encoding that the suffix names, or else the scheme's. A
// digest without salt may also stand in hexadecimal, which its length tells
// (Dovecot does the same).
func encodingOf(s scheme, suffix, data string) (encoding, error) {
	switch suffix {
	case "B64", "BASE64":
		return encBase64, nil
	case "HEX":
		return encHex, nil
	case "":
	default:
		return 0, fmt.Errorf("%w: unknown encoding", ErrMalformed)
	}
	if s.encoding == encBase64 && !s.salted && len(data) == 2*s.size() {
		return encHex, nil
	}
	return s.encoding, nil
}

func (e encoding) decode(data string) ([]byte, error) {
	switch e {
	case encBase64:
		// OpenLDAP and others leave the padding away.
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(data, "="))
		if err != nil {
			return nil, fmt.Errorf("%w: bad base64", ErrMalformed)
		}
		return b, nil
	case encHex:
		b, err := hex.DecodeString(data)
		if err != nil {
			return nil, fmt.Errorf("%w: bad hexadecimal", ErrMalformed)
		}
		return b, nil
	}
	return []byte(data), nil
}
