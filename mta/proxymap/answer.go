package proxymap

import (
	"context"
	"errors"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/msglog"
)

// maxAnswer is how long an answer may be: Postfix reads no longer one
// (DICT_SOCKMAP_MAX_REPLY). It is the protocol's and no parameter.
const maxAnswer = 100_000

// What clients hear beside texts. The reasons are for people, and say nothing of what is behind them.
const (
	found    = "OK "
	notFound = "NOTFOUND "
	failed   = "TEMP the lookup failed"
	tooLate  = "TIMEOUT the lookup took too long"
	noTable  = "PERM there is no such table"
	noKey    = "PERM a request is the name of a table, a blank and a key"
)

// Why a text is no answer.
var (
	errLong = errors.New("the text is too long for an answer: 99,997 octets are the most")
	errNUL  = errors.New("the text has an octet 0, at which a client would cut it")
)

// answer is what a client hears to a request.
func (s *session) answer(ctx context.Context, request string) string {
	name, key, ok := strings.Cut(request, " ")
	table := s.d.served[name]
	event := msglog.Lookup{Service: serviceName, Session: s.id, Client: s.client, Table: name, Key: key}
	switch {
	case !ok:
		event.Table, event.Result = "", msglog.LookupMalformed
		return s.refuse(event, noKey)
	case table == nil:
		event.Result = msglog.LookupUnknown
		return s.refuse(event, noTable)
	}
	ctx, cancel := context.WithTimeout(ctx, s.d.o.Params.Timeout)
	defer cancel()
	text, err := table.Lookup(ctx, key)
	switch {
	case err == nil && len(found)+len(text) > maxAnswer:
		err = errLong
	case err == nil && strings.IndexByte(text, 0) >= 0:
		err = errNUL
	}
	switch {
	case err == nil:
		event.Result = msglog.LookupFound
		s.d.o.Log.Count(event)
		return found + text
	case directory.OutcomeOf(err) == directory.NotFound:
		event.Result = msglog.LookupNotFound
		s.d.o.Log.Count(event)
		return notFound
	}
	s.failed++
	event.Result, event.Err = msglog.LookupFailed, err
	answer := failed
	if errors.Is(err, context.DeadlineExceeded) {
		event.Result, answer = msglog.LookupTimeout, tooLate
	}
	s.d.o.Log.Event(event)
	return answer
}

// refuse is PERM. A client that is set up badly asks the same again and again: its first
// request has a line in the log, all are counted.
func (s *session) refuse(event msglog.Lookup, answer string) string {
	s.failed++
	if s.unknown {
		s.d.o.Log.Count(event)
		return answer
	}
	s.unknown = true
	s.d.o.Log.Event(event)
	return answer
}
