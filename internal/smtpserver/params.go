package smtpserver

import (
	"slices"
	"strings"

	"toastmaster/internal/dsn"
)

// dsnParams are the parameters of RFC 3461.
var dsnParams = []string{"RET", "ENVID", "NOTIFY", "ORCPT"}

// params hands the parameters behind an address, "KEY=value KEY" (RFC 5321
// section 4.1.2), to take, one by one, until it returns an error; keys come in
// upper case. A parameter that comes twice is an error, and so is one of an
// extension that is not offered.
func (c *Conn) params(s string, take func(key, value string) *dsn.Error) *dsn.Error {
	if s == "" {
		return nil
	}
	// take knows fewer keys than this.
	var taken [16]string
	seen := taken[:0]
	for word := range strings.FieldsSeq(s) {
		key, value, _ := strings.Cut(word, "=")
		key = strings.ToUpper(key)
		switch {
		case key == "":
			return dsn.New(dsn.InvalidArguments, "Malformed parameter")
		case c.srv.NoDSN && slices.Contains(dsnParams, key):
			return unsupported(key)
		case slices.Contains(seen, key):
			return dsn.Newf(dsn.InvalidArguments, "Parameter %s given twice", short(key))
		}
		if e := take(key, value); e != nil {
			return e
		}
		seen = append(seen, key)
	}
	return nil
}

// unsupported is the answer to a parameter we do not know (RFC 5321 section
// 4.1.1.11).
func unsupported(key string) *dsn.Error {
	return dsn.Newf(dsn.InvalidArguments, "Unsupported parameter %s", short(key)).WithCode(555)
}

func badParam(key string) *dsn.Error {
	return dsn.Newf(dsn.InvalidArguments, "Bad value of parameter %s", key)
}

// short cuts what a client sent for a reply.
func short(s string) string {
	if len(s) > 32 {
		return s[:32] + "..."
	}
	return s
}
