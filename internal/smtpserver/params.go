package smtpserver

import (
	"slices"
	"strings"

	"toastmaster/internal/dsn"
)

// param is a parameter of MAIL or RCPT.
type param struct{ key, value string }

// dsnParams are the parameters of RFC 3461.
var dsnParams = []string{"RET", "ENVID", "NOTIFY", "ORCPT"}

// params hands the parameters behind an address to take, one by one, until it
// returns an error. None is taken when they cannot be parsed.
func (c *Conn) params(s string, take func(param) *dsn.Error) *dsn.Error {
	list, err := c.parseParams(s)
	if err != nil {
		return err
	}
	for _, p := range list {
		if err := take(p); err != nil {
			return err
		}
	}
	return nil
}

// parseParams splits "KEY=value KEY" (RFC 5321 section 4.1.2); keys come in
// upper case. A parameter that comes twice is an error, and so is one of an
// extension that is not offered.
func (c *Conn) parseParams(s string) ([]param, *dsn.Error) {
	var list []param
	for word := range strings.FieldsSeq(s) {
		key, value, _ := strings.Cut(word, "=")
		key = strings.ToUpper(key)
		if key == "" {
			return nil, dsn.New(dsn.InvalidArguments, "Malformed parameter")
		}
		if c.srv.NoDSN && slices.Contains(dsnParams, key) {
			return nil, unsupported(key)
		}
		for _, p := range list {
			if p.key == key {
				return nil, dsn.Newf(dsn.InvalidArguments, "Parameter %s given twice", printable(key))
			}
		}
		list = append(list, param{key, value})
	}
	return list, nil
}

// unsupported is the answer to a parameter we do not know (RFC 5321 section
// 4.1.1.11).
func unsupported(key string) *dsn.Error {
	return dsn.Newf(dsn.InvalidArguments, "Unsupported parameter %s", printable(key)).WithCode(555)
}

func badParam(key string) *dsn.Error {
	return dsn.Newf(dsn.InvalidArguments, "Bad value of parameter %s", key)
}

// printable shortens what a client sent for a reply.
func printable(s string) string {
	if len(s) > 32 {
		return s[:32] + "..."
	}
	return s
}
