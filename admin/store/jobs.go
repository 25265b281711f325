package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"

	"toastmaster/admin/model"
)

const noJob = "no such job"

const (
	jobColumns = `
SELECT id, kind, object, input_json, actor, state, total, done, unchanged, failed, errors, error, created_at, started_at, ended_at FROM jobs`

	selectJob   = jobColumns + ` WHERE id = ?1`
	listJobs    = jobColumns + ` WHERE (?1 = 0 OR id < ?1) ORDER BY id DESC LIMIT ?2`
	listOpen    = jobColumns + ` WHERE state IN ('waiting', 'running', 'cancelling') ORDER BY id`
	countOpen   = `SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running', 'cancelling')`
	insertJob   = `INSERT INTO jobs (kind, object, input_json, actor, state, created_at) VALUES (?, ?, ?, ?, 'waiting', ?)`
	forgetJobs  = `DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND id <= (SELECT max(id) FROM jobs) - ?1`
	cancelJob   = `UPDATE jobs SET state = CASE state WHEN 'waiting' THEN 'cancelled' ELSE 'cancelling' END, ended_at = CASE state WHEN 'waiting' THEN ?2 ELSE 0 END WHERE id = ?1`
	progressJob = `
UPDATE jobs SET state = CASE WHEN state = 'cancelling' AND ?2 = 'running' THEN state ELSE ?2 END,
       total = ?3, done = ?4, unchanged = ?5, failed = ?6, errors = ?7, error = ?8, started_at = ?9, ended_at = ?10
 WHERE id = ?1 AND state NOT IN ('done', 'failed', 'cancelled')`
)

// KeptJob is a job with what it is to do.
type KeptJob struct {
	model.Job
	Input json.RawMessage
}

func scanJob(row scanner) (KeptJob, error) {
	var j KeptJob
	var input, failures string
	var created, started, ended int64
	err := row.Scan(&j.ID, &j.Kind, &j.Object, &input, &j.Actor, &j.State, &j.Total, &j.Done, &j.Unchanged, &j.Failed,
		&failures, &j.Error, &created, &started, &ended)
	if err != nil {
		return j, err
	}
	j.Input = json.RawMessage(input)
	j.Created, j.Started, j.Ended = milliseconds(created), optionalTime(started), optionalTime(ended)
	j.Errors = []string{}
	return j, json.Unmarshal([]byte(failures), &j.Errors)
}

// AddJob keeps a job that waits. At most open jobs may wait or run at once; of
// those that are over, about the last history are kept.
func (s *Store) AddJob(ctx context.Context, actor string, in model.JobInput, open, history int) (model.Job, error) {
	var j KeptJob
	err := s.write(ctx, actor, func(t *tx) error {
		var n int
		if err := t.QueryRowContext(ctx, countOpen).Scan(&n); err != nil {
			return err
		}
		if n >= open {
			return model.Fail(model.OverLimit, strconv.Itoa(n)+" jobs wait or run, no more than "+strconv.Itoa(open)+" may (admin.max_jobs): wait for one to end, or cancel one")
		}
		res, err := t.ExecContext(ctx, insertJob, in.Kind, in.Object, string(in.Input), actor, t.now)
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		if _, err := t.ExecContext(ctx, forgetJobs, history); err != nil {
			return err
		}
		if j, err = scanJob(t.QueryRowContext(ctx, selectJob, id)); err != nil {
			return err
		}
		return t.audit(ctx, "add", "job", jobName(id), nil, j.Job)
	})
	return j.Job, err
}

func jobName(id int64) string { return strconv.FormatInt(id, 10) }

// Job reads one.
func (s *Store) Job(ctx context.Context, id int64) (model.Job, error) {
	j, err := scanJob(s.o.Reader.QueryRowContext(ctx, selectJob, id))
	return j.Job, missing(err, noJob)
}

// Jobs lists jobs, newest first, those before an ID, or from the newest on for 0.
func (s *Store) Jobs(ctx context.Context, before int64, limit int) ([]model.Job, error) {
	rows, err := s.o.Reader.QueryContext(ctx, listJobs, before, clampLimit(limit))
	return collect(rows, err, func(r *sql.Rows) (model.Job, error) {
		j, err := scanJob(r)
		return j.Job, err
	})
}

// OpenJobs are those that are not over, oldest first.
func (s *Store) OpenJobs(ctx context.Context) ([]KeptJob, error) {
	rows, err := s.o.Writer.QueryContext(ctx, listOpen)
	return collect(rows, err, func(r *sql.Rows) (KeptJob, error) { return scanJob(r) })
}

// SaveJob writes down how far a job is; one that is to be cancelled stays so
// until it is over. One that is over already stays what it is: InUse. It changes
// nothing that the directory answers.
func (s *Store) SaveJob(ctx context.Context, j model.Job) error {
	failures, err := json.Marshal(j.Errors)
	if err != nil {
		return err
	}
	var started, ended int64
	if j.Started != nil {
		started = j.Started.UnixMilli()
	}
	if j.Ended != nil {
		ended = j.Ended.UnixMilli()
	}
	sqlTx, err := s.o.Writer.BeginTx(ctx, nil)
	if err != nil {
		return failure(err)
	}
	res, err := sqlTx.ExecContext(ctx, progressJob, j.ID, string(j.State), j.Total, j.Done, j.Unchanged, j.Failed, string(failures), j.Error, started, ended)
	if err == nil {
		var n int64
		if n, err = res.RowsAffected(); err == nil && n == 0 {
			err = model.Fail(model.InUse, "the job is over")
		}
	}
	if err == nil && j.State.Over() {
		t := &tx{Tx: sqlTx, actor: j.Actor, now: s.o.Clock.Now().UnixMilli()}
		err = t.audit(ctx, "set", "job", jobName(j.ID), nil, j)
	}
	if err != nil {
		return failure(errors.Join(err, rollback(sqlTx)))
	}
	return failure(sqlTx.Commit())
}

// CancelJob asks for the end of a job; one that waits is over at once.
func (s *Store) CancelJob(ctx context.Context, actor string, id int64) (model.Job, error) {
	var j KeptJob
	err := s.write(ctx, actor, func(t *tx) (err error) {
		before, err := scanJob(t.QueryRowContext(ctx, selectJob, id))
		if err != nil {
			return missing(err, noJob)
		}
		if before.State.Over() {
			return model.Fail(model.InUse, "the job is over: "+string(before.State))
		}
		if _, err := t.ExecContext(ctx, cancelJob, id, t.now); err != nil {
			return err
		}
		if j, err = scanJob(t.QueryRowContext(ctx, selectJob, id)); err != nil {
			return err
		}
		return t.audit(ctx, "set", "job", jobName(id), before.Job, j.Job)
	})
	return j.Job, err
}

// MayRemoveDomain refuses what RemoveDomain would refuse.
func (s *Store) MayRemoveDomain(ctx context.Context, name string, all bool) error {
	d, err := scanDomain(s.o.Reader.QueryRowContext(ctx, selectDomain, name))
	if err != nil {
		return missing(err, noDomain)
	}
	return unused(ctx, s.o.Reader, d.id, all)
}
