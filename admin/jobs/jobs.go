package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// Func does the work of one kind of job.
type Func func(ctx context.Context, t *Task) error

// Options are what a Runner is made of.
type Options struct {
	Store *store.Store
	Kinds map[string]Func
	// Workers is how many jobs run at once, Open how many may wait or run,
	// History how many are kept that are over.
	Workers, Open, History int
	Clock                  clock.Clock
	Log                    *msglog.Log
}

// Runner does jobs. Its owner calls Run; the other methods may be called at any
// time.
type Runner struct {
	o    Options
	wake chan struct{}

	mu      sync.Mutex
	running map[int64]*Task
}

// New makes a Runner.
func New(o Options) *Runner {
	o.Workers, o.Open = max(o.Workers, 1), max(o.Open, 1)
	return &Runner{o: o, wake: make(chan struct{}, 1), running: map[int64]*Task{}}
}

// Task is a job that runs. Its methods may be called by several goroutines.
type Task struct {
	// Input is what was asked for, Actor by whom.
	Input json.RawMessage
	Actor string

	log    *msglog.Log
	cancel context.CancelFunc
	// keep writes down how far it is.
	keep func()
	mu   sync.Mutex
	job  model.Job
}

// maxErrors is how many failures of single things are kept. It is no parameter:
// whoever wants all of them finds each in the log.
const maxErrors = 20

// All says how many things there are to do, for a kind that goes through all of them
// again after an interruption.
func (t *Task) All(n int64) {
	t.change(func(j *model.Job) { j.Total, j.Done, j.Unchanged = n, 0, 0 })
}

// Done counts a thing that was done, Unchanged one that was so already.
func (t *Task) Done()      { t.change(func(j *model.Job) { j.Done++ }) }
func (t *Task) Unchanged() { t.change(func(j *model.Job) { j.Unchanged++ }) }

// Left says how much there is left to do, for a kind that looks for that: with the
// first start it is the total, later the rest of the total was done by starts that
// were interrupted, whatever they could still write down.
func (t *Task) Left(n int64) {
	t.change(func(j *model.Job) {
		j.Total = max(j.Total, n)
		j.Done, j.Unchanged = j.Total-n, 0
	})
	t.keep()
}

// Fence runs f; a panic of f is an error. The Func has one around it, but a
// goroutine that it starts is not inside, and needs its own for each thing.
func (t *Task) Fence(f func() error) error {
	return service.Fenced(t.log, f, "service", "admin", "job", t.snapshot().ID)
}

// AnyFailed says that a thing could not be done.
func (t *Task) AnyFailed() bool { return t.snapshot().Failed > 0 }

// Failed counts a thing that could not be done. The job goes on with the others.
func (t *Task) Failed(what string, err error) {
	t.change(func(j *model.Job) {
		j.Failed++
		if len(j.Errors) < maxErrors {
			j.Errors = append(j.Errors, what+": "+text(err))
		}
	})
}

// text is an error for the caller: without what only the log may have.
func text(err error) string {
	var m *model.Error
	if !errors.As(err, &m) {
		return "internal error, see the log"
	}
	public := *m
	public.Cause = nil
	return public.Error()
}

func (t *Task) change(f func(*model.Job)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.job)
}

func (t *Task) snapshot() model.Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.job
	j.Errors = slices.Clone(j.Errors)
	return j
}

// Add keeps a job, which begins as soon as a worker is free.
func (r *Runner) Add(ctx context.Context, actor string, in model.JobInput) (model.Job, error) {
	if r.o.Kinds[in.Kind] == nil {
		return model.Job{}, fmt.Errorf("jobs: unknown kind %q", in.Kind)
	}
	j, err := r.o.Store.AddJob(ctx, actor, in, r.o.Open, r.o.History)
	if err == nil {
		r.wakeUp()
	}
	return j, err
}

func (r *Runner) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Job is a job as it is now.
func (r *Runner) Job(ctx context.Context, id int64) (model.Job, error) {
	j, err := r.o.Store.Job(ctx, id)
	if err != nil || j.State.Over() {
		return j, err
	}
	return r.now(j), nil
}

// Jobs lists jobs, newest first, see admin/store.Jobs.
func (r *Runner) Jobs(ctx context.Context, before int64, limit int) ([]model.Job, error) {
	all, err := r.o.Store.Jobs(ctx, before, limit)
	for i := range all {
		if !all[i].State.Over() {
			all[i] = r.now(all[i])
		}
	}
	return all, err
}

// now is what a running job knows of itself beyond what is written down.
func (r *Runner) now(j model.Job) model.Job {
	r.mu.Lock()
	t := r.running[j.ID]
	r.mu.Unlock()
	if t == nil {
		return j
	}
	state := j.State
	j = t.snapshot()
	j.State = state
	return j
}

// Cancel ends a job soon; what it has done stays done.
func (r *Runner) Cancel(ctx context.Context, actor string, id int64) (model.Job, error) {
	j, err := r.o.Store.CancelJob(ctx, actor, id)
	if err != nil {
		return j, err
	}
	r.mu.Lock()
	if t := r.running[id]; t != nil {
		t.cancel()
	}
	r.mu.Unlock()
	return j, nil
}

// retryAfter is when the jobs are looked for again after the database failed. It is
// no parameter: it only keeps a failing database from a busy loop.
const retryAfter = 10 * time.Second

// Run does jobs until ctx ends, and waits for those that run. They begin anew with
// the next Run.
func (r *Runner) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for ctx.Err() == nil {
		err := service.Fenced(r.o.Log, func() error { return r.start(ctx, &all) }, "service", "admin")
		if err != nil && ctx.Err() == nil {
			r.o.Log.Error("jobs", "status", "failed", "cause", err)
		}
		r.await(ctx, err != nil)
	}
	return nil
}

// await waits for something to do, and no longer than retryAfter if retry is set.
func (r *Runner) await(ctx context.Context, retry bool) {
	var again <-chan time.Time
	if retry {
		timer := r.o.Clock.NewTimer(retryAfter)
		defer timer.Stop()
		again = timer.C()
	}
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-again:
	}
}

// start starts what there is a worker for.
func (r *Runner) start(ctx context.Context, all *sync.WaitGroup) error {
	open, err := r.o.Store.OpenJobs(ctx)
	if err != nil {
		return err
	}
	for i := range open {
		jobCtx, cancel := context.WithCancel(ctx)
		t := r.task(ctx, &open[i], cancel)
		if !r.enter(t) {
			cancel()
			continue
		}
		if open[i].State == model.JobCancelling {
			cancel()
		}
		all.Go(func() {
			defer cancel()
			r.do(ctx, jobCtx, t)
		})
	}
	return nil
}

// task is a job that is about to run.
func (r *Runner) task(ctx context.Context, j *store.KeptJob, cancel context.CancelFunc) *Task {
	t := &Task{Input: j.Input, Actor: j.Actor, log: r.o.Log, cancel: cancel, job: j.Job}
	if t.job.Started == nil {
		now := r.o.Clock.Now().UTC()
		t.job.Started = &now
	}
	// What failed before a restart is tried again.
	t.job.Failed, t.job.Errors = 0, []string{}
	t.job.State = model.JobRunning
	t.keep = func() { r.saveProgress(ctx, t) }
	return t
}

// enter counts a job in, if it does not run already and a worker is free.
func (r *Runner) enter(t *Task) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.running) >= r.o.Workers || r.running[t.job.ID] != nil {
		return false
	}
	r.running[t.job.ID] = t
	return true
}

func (r *Runner) leave(t *Task) {
	r.mu.Lock()
	delete(r.running, t.job.ID)
	r.mu.Unlock()
	r.wakeUp()
}

// do does one job to its end, or to that of ctx. A panic that is not the Func's,
// which has a fence of its own, is the job's failure, too. If not even that can be
// written down, the job keeps its worker and runs again after the next start:
// else it would begin anew at once, and for ever.
func (r *Runner) do(ctx, jobCtx context.Context, t *Task) {
	err := t.Fence(func() error { return r.work(ctx, jobCtx, t) })
	if err != nil {
		err = t.Fence(func() error {
			r.end(ctx, jobCtx, t, err)
			return nil
		})
	}
	if err == nil {
		r.leave(t)
	}
}

// work does it and writes down how it ended. An error is a panic.
func (r *Runner) work(ctx, jobCtx context.Context, t *Task) error {
	if err := r.o.Store.SaveJob(ctx, t.snapshot()); model.KindOf(err) == model.InUse {
		return nil // cancelled before it began
	}
	saved := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(saved)
		r.save(ctx, t, stop)
	}()
	rest := sync.OnceFunc(func() { close(stop); <-saved })
	defer rest() // after a panic
	begin := t.snapshot()
	r.o.Log.Info("job", "job", begin.ID, "kind", begin.Kind, "object", begin.Object, "actor", begin.Actor, "status", "started")
	err := jobCtx.Err()
	if err == nil {
		err = t.Fence(func() error { return r.kind(begin.Kind)(jobCtx, t) })
	}
	rest()
	r.end(ctx, jobCtx, t, err)
	return nil
}

func (r *Runner) kind(name string) Func {
	if f := r.o.Kinds[name]; f != nil {
		return f
	}
	return func(context.Context, *Task) error {
		return model.Fail(model.Internal, "this version knows no jobs of this kind")
	}
}

// saveEvery is how often it is written down how far a job is. It is no parameter: a
// kill costs a second of counting and no work, and Runner.Job knows more at once.
const saveEvery = time.Second

func (r *Runner) save(ctx context.Context, t *Task, stop <-chan struct{}) {
	timer := r.o.Clock.NewTimer(saveEvery)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		r.saveProgress(ctx, t)
		timer.Reset(saveEvery)
	}
}

// saveProgress writes down how far a job is. It has a fence for the goroutine of save.
func (r *Runner) saveProgress(ctx context.Context, t *Task) {
	_ = t.Fence(func() error {
		j := t.snapshot()
		if err := r.o.Store.SaveJob(ctx, j); err != nil && ctx.Err() == nil {
			r.o.Log.Warn("job", "job", j.ID, "status", "not saved", "cause", err)
		}
		return nil
	})
}

// saveTimeout bounds the last note about a job. It is no parameter: a database that
// takes longer is not there, and the job begins anew with the next start.
const saveTimeout = 10 * time.Second

// end writes down how a job ended. One that the end of the service interrupted
// stays as it is, and goes on after the next start.
func (r *Runner) end(ctx, jobCtx context.Context, t *Task, err error) {
	now := r.o.Clock.Now().UTC()
	t.change(func(j *model.Job) {
		switch {
		case err == nil && j.Failed == 0:
			j.State, j.Ended = model.JobDone, &now
		case err == nil:
			j.State, j.Ended = model.JobFailed, &now
			j.Error = fmt.Sprintf("%d could not be done", j.Failed)
		case ctx.Err() != nil:
		case jobCtx.Err() != nil:
			j.State, j.Ended = model.JobCancelled, &now
		default:
			j.State, j.Ended, j.Error = model.JobFailed, &now, text(err)
		}
	})
	j := t.snapshot()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	saveErr := r.o.Store.SaveJob(last, j)
	status := string(j.State)
	if !j.State.Over() {
		status = "interrupted"
	}
	r.o.Log.Info("job", "job", j.ID, "kind", j.Kind, "object", j.Object, "status", status, "done", j.Done,
		"unchanged", j.Unchanged, "failed", j.Failed, "duration", now.Sub(*j.Started))
	if cause := errors.Join(err, saveErr); cause != nil && ctx.Err() == nil && jobCtx.Err() == nil {
		r.o.Log.Error("job", "job", j.ID, "status", "failed", "cause", cause)
	}
}
