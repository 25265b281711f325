package run

import (
	"context"
	"errors"
	"slices"
	"strings"

	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/run/check"
)

// reload opens the log's file again and reads certificates, tables and the configuration again.
// A mistake in the configuration is logged, and nothing more of it is looked at. smtpd is made anew (renew.go); other
// parts keep the parameters that they were made with, and what has changed of those is
// named in the log as waiting for a restart.
func (i *Instance) reload() reloaded {
	logErr, certErr := i.log.Reopen(), errors.Join(i.certificates.Reload(), i.reloadAuthorities())
	c, err := configs.Load(i.config.File)
	if err == nil {
		err = check.Files(c, i.listeners.Inherited())
	}
	if err != nil {
		// The check has met the same files, and names their parameter.
		err = withNew(err, logErr, certErr)
		i.log.Error("reload", "status", "failed", "cause", err)
		return reloaded{err: err}
	}
	changed := slices.DeleteFunc(i.config.Changed(c), configs.TakenUp)
	i.tables.Refresh()
	commit, err := i.renew(context.Background(), c)
	if err != nil {
		i.log.Error("reload", "status", "failed", "cause", err)
		return reloaded{err: err}
	}
	fileErr := errors.Join(logErr, certErr)
	i.noteError("reload", fileErr)
	i.answers.Invalidate()
	commit()
	if len(changed) > 0 {
		i.log.Warn("reload", "status", "needs a restart", "parameters", strings.Join(changed, ", "))
		return reloaded{changed, fileErr}
	}
	i.log.Info("reload", "status", "ok")
	return reloaded{err: fileErr}
}

// withNew joins err with those of others that it does not tell already.
func withNew(err error, others ...error) error {
	all := []error{}
	for _, o := range others {
		if o != nil && !strings.Contains(err.Error(), o.Error()) {
			all = append(all, o)
		}
	}
	return errors.Join(append(all, err)...)
}

// reloaded is what became of a reload.
type reloaded struct {
	needRestart []string
	err         error
}

// askReload does what SIGHUP does, and waits for it: for the API.
func (i *Instance) askReload(ctx context.Context) ([]string, error) {
	answer := make(chan reloaded, 1)
	select {
	case i.reloads <- answer:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case r := <-answer:
		if r.err != nil {
			return nil, &model.Error{Kind: model.Invalid, Text: r.err.Error()}
		}
		return r.needRestart, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
