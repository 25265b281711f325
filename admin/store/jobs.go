package store

import (
	"context"
	"encoding/json"
	"math"
	"strconv"

	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

const noJob = "no such job"

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
		if err := t.QueryRow(ctx, countOpen).Scan(&n); err != nil {
			return err
		}
		if n >= open {
			return model.Fail(model.OverLimit, strconv.Itoa(n)+" jobs wait or run, no more than "+strconv.Itoa(open)+" may (admin.max_jobs): wait for one to end, or cancel one")
		}
		id, err := t.InsertID(ctx, insertJob, in.Kind, in.Object, string(in.Input), actor, t.now)
		if err != nil {
			return err
		}
		if _, err := t.Exec(ctx, forgetJobs, history); err != nil {
			return err
		}
		if j, err = scanJob(t.QueryRow(ctx, selectJob, id)); err != nil {
			return err
		}
		return t.audit(ctx, "add", "job", jobName(id), nil, j.Job)
	})
	return j.Job, err
}

func jobName(id int64) string { return strconv.FormatInt(id, 10) }

// Job reads one.
func (s *Store) Job(ctx context.Context, id int64) (model.Job, error) {
	j, err := scanJob(s.reader.QueryRow(ctx, selectJob, id))
	return j.Job, missing(err, noJob)
}

// Jobs lists jobs, newest first, those before an ID, or from the newest on for 0.
func (s *Store) Jobs(ctx context.Context, before int64, limit int) ([]model.Job, error) {
	rows, err := s.reader.Query(ctx, listJobs, beforeID(before), clampLimit(limit))
	return collect(rows, err, func(r *db.Rows) (model.Job, error) {
		j, err := scanJob(r)
		return j.Job, err
	})
}

// OpenJobs are those that are not over, oldest first.
func (s *Store) OpenJobs(ctx context.Context) ([]KeptJob, error) {
	rows, err := s.writer.Query(ctx, listOpen)
	return collect(rows, err, func(r *db.Rows) (KeptJob, error) { return scanJob(r) })
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
	return s.quietly(ctx, j.Actor, func(t *tx) error {
		res, err := t.Exec(ctx, progressJob, j.ID, string(j.State), j.Total, j.Done, j.Unchanged, j.Failed, string(failures), j.Error, started, ended)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		switch {
		case err != nil:
			return err
		case n == 0:
			return model.Fail(model.InUse, "the job is over")
		case j.State.Over():
			return t.audit(ctx, "set", "job", jobName(j.ID), nil, j)
		}
		return nil
	})
}

// beforeID is where a listing from the newest on begins: 0 is at the newest.
func beforeID(id int64) int64 {
	if id == 0 {
		return math.MaxInt64
	}
	return id
}

// CancelJob asks for the end of a job; one that waits is over at once.
func (s *Store) CancelJob(ctx context.Context, actor string, id int64) (model.Job, error) {
	var j KeptJob
	err := s.write(ctx, actor, func(t *tx) (err error) {
		before, err := scanJob(t.QueryRow(ctx, selectJob, id))
		if err != nil {
			return missing(err, noJob)
		}
		if before.State.Over() {
			return model.Fail(model.InUse, "the job is over: "+string(before.State))
		}
		if _, err := t.Exec(ctx, cancelJob, id, t.now); err != nil {
			return err
		}
		if j, err = scanJob(t.QueryRow(ctx, selectJob, id)); err != nil {
			return err
		}
		return t.audit(ctx, "set", "job", jobName(id), before.Job, j.Job)
	})
	return j.Job, err
}

// MayRemoveDomain refuses what RemoveDomain would refuse.
func (s *Store) MayRemoveDomain(ctx context.Context, name string, all bool) error {
	d, err := scanDomain(s.reader.QueryRow(ctx, selectDomain, name))
	if err != nil {
		return missing(err, noDomain)
	}
	return unused(ctx, s.reader, d.id, all)
}
