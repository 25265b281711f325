package process

import "toastmaster/internal/dsn"

// exTempFail is EX_TEMPFAIL of sysexits.h.
const exTempFail = 75

// sysexit is what an exit status of sysexits.h means, with the status that Postfix gives it.
type sysexit struct {
	status dsn.Status
	text   string
}

// sysexits are the exit statuses from 64 on.
func sysexits() []sysexit {
	return []sysexit{
		{dsn.Make(5, 3, 0), "command line usage error"},
		{dsn.Make(5, 6, 0), "data format error"},
		{dsn.Make(5, 3, 0), "cannot open input"},
		{dsn.Make(5, 1, 1), "user unknown"},
		{dsn.Make(5, 1, 2), "host name unknown"},
		{dsn.Make(5, 3, 0), "service unavailable"},
		{dsn.Make(5, 3, 0), "internal software error"},
		{dsn.Make(4, 3, 0), "system resource problem"},
		{dsn.Make(5, 3, 0), "critical OS file missing"},
		{dsn.Make(5, 2, 0), "can't create user output file"},
		{dsn.Make(5, 3, 0), "input/output error"},
		{dsn.Make(4, 3, 0), "temporary failure"},
		{dsn.Make(5, 5, 0), "remote error in protocol"},
		{dsn.Make(5, 7, 0), "permission denied"},
		{dsn.Make(5, 3, 5), "local configuration error"},
	}
}

// Error is the outcome as a status and a text with the output: what the report and the log
// tell. Nil is success.
func (r *Result) Error() *dsn.Error {
	behind := ""
	if r.Output != "" {
		behind = ". Command output: " + r.Output
	}
	switch {
	case r.TimedOut:
		return dsn.Newf(dsn.Make(5, 3, 0), "Command time limit exceeded: \"%s\"%s", r.name, behind)
	case r.Signal != 0:
		return dsn.Newf(dsn.MailSystem, "Command died with signal %d: \"%s\"%s", int(r.Signal), r.name, behind)
	case r.Exit == 0:
		return nil
	}
	if status, text := dsn.Split(r.Output, 0); status.Class() == 4 || status.Class() == 5 {
		return dsn.New(status, text)
	}
	if i := r.Exit - 64; i >= 0 && i < len(sysexits()) {
		s := sysexits()[i]
		return dsn.Wrap(s.status, s.text+behind, r.cause)
	}
	return dsn.Newf(dsn.Make(5, 3, 0), "Command died with status %d: \"%s\"%s", r.Exit, r.name, behind)
}
