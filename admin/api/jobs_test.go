package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory"
)

// purgeDomain removes a domain and waits for the job.
func (b *bench) purgeDomain(t *testing.T, name string) {
	t.Helper()
	j, err := b.unix.PurgeDomain(t.Context(), name)
	if err == nil {
		j, err = b.unix.WaitJob(t.Context(), j.ID, 0, nil)
	}
	if err != nil || j.State != model.JobDone {
		t.Errorf("%+v, %v", j, err)
	}
}

// TestPurgeIsAJob: the answer comes at once and says where to ask; refusals come
// at once, too.
func TestPurgeIsAJob(t *testing.T) {
	t.Parallel()
	release, entered := make(chan struct{}), make(chan struct{}, 20)
	b := newBench(t, func(o *api.Options) {
		o.Purge = func(ctx context.Context, _ directory.Mailbox) error {
			entered <- struct{}{}
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	ctx := t.Context()
	for _, name := range []string{"a.test", "b.test"} {
		_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: name})
		check(t, 0, err)
		for i := range 5 {
			_, err := b.unix.AddMailbox(ctx, model.NewMailbox{Address: fmt.Sprintf("x%d@%s", i, name)})
			check(t, 0, err)
		}
	}
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "alias.test", DomainChange: model.DomainChange{}, AliasOf: "b.test"})
	check(t, 0, err)
	_, err = b.unix.PurgeDomain(ctx, "none.test")
	wantKind(t, "no domain", err, model.NotFound)
	_, err = b.unix.PurgeDomain(ctx, "b.test")
	wantKind(t, "an alias domain stands for it", err, model.InUse)

	a := b.askUnix(t, http.MethodDelete, "/api/v1/domains/a.test?all=true&purge=true", "")
	if a.status != http.StatusAccepted || a.header.Get("Location") != "/api/v1/jobs/1" || !strings.Contains(a.body, `"kind":"purge-domain"`) {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	<-entered
	j, err := b.unix.CancelJob(ctx, 1)
	check(t, j, err)
	j, err = b.unix.WaitJob(ctx, 1, 0, nil)
	if check(t, j, err); j.State != model.JobCancelled || j.Done != 0 {
		t.Errorf("%+v", j)
	}
	_, err = b.unix.CancelJob(ctx, 1)
	wantKind(t, "it is over", err, model.InUse)
	_, err = b.unix.Job(ctx, 99)
	wantKind(t, "no job", err, model.NotFound)
	d, err := b.unix.Domain(ctx, "a.test")
	if check(t, d, err); d.Enabled {
		t.Error("the domain is enabled while it is half removed")
	}
	close(release)
	b.purgeDomain(t, "a.test")
	_, err = b.unix.Domain(ctx, "a.test")
	wantKind(t, "removed", err, model.NotFound)
	audit, err := b.unix.Audit(ctx, "job", "", "", 100)
	if check(t, audit, err); len(audit.Items) < 4 {
		t.Errorf("audit: %+v", audit)
	}
}

// TestOneDomainInTwoJobs: a removal that is asked for again while it runs, as
// after a lost answer, is done by both.
func TestOneDomainInTwoJobs(t *testing.T) {
	t.Parallel()
	const workers = 2
	entered, both := make(chan struct{}, 20), make(chan struct{})
	b := newBench(t, func(o *api.Options) {
		o.Params.JobWorkers = workers
		o.Purge = func(ctx context.Context, _ directory.Mailbox) error {
			entered <- struct{}{}
			select {
			case <-both:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	ctx := t.Context()
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "twice.test"})
	check(t, 0, err)
	for i := range 5 {
		_, err := b.unix.AddMailbox(ctx, model.NewMailbox{Address: fmt.Sprintf("x%d@twice.test", i)})
		check(t, 0, err)
	}
	var ids []int64
	for range workers {
		j, err := b.unix.PurgeDomain(ctx, "twice.test")
		check(t, j, err)
		ids = append(ids, j.ID)
		<-entered
	}
	close(both)
	for _, id := range ids {
		j, err := b.unix.WaitJob(ctx, id, 0, nil)
		if check(t, j, err); j.State != model.JobDone {
			t.Errorf("%+v", j)
		}
	}
	_, err = b.unix.Domain(ctx, "twice.test")
	wantKind(t, "removed", err, model.NotFound)
}

// TestJobsThatFailInPart say which and why, and can be repeated.
func TestJobsThatFailInPart(t *testing.T) {
	t.Parallel()
	bad := true
	b := newBench(t, func(o *api.Options) {
		o.Purge = func(_ context.Context, m directory.Mailbox) error {
			if bad && m.Home == "a.test/x3" {
				return errors.New("disk on fire at /secret/path")
			}
			return nil
		}
	})
	ctx := t.Context()
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "a.test"})
	check(t, 0, err)
	for i := range 5 {
		_, err := b.unix.AddMailbox(ctx, model.NewMailbox{Address: fmt.Sprintf("x%d@a.test", i)})
		check(t, 0, err)
	}
	j, err := b.unix.PurgeDomain(ctx, "a.test")
	check(t, j, err)
	j, err = b.unix.WaitJob(ctx, j.ID, 0, nil)
	if check(t, j, err); j.State != model.JobFailed || j.Done != 4 || j.Failed != 1 || j.Total != 5 || len(j.Errors) != 1 ||
		!strings.HasPrefix(j.Errors[0], "x3@a.test: ") || strings.Contains(j.Errors[0], "secret") {
		t.Errorf("%+v", j)
	}
	bad = false
	b.purgeDomain(t, "a.test")
}

// TestQueueActionsAreOneJob, bounded in number.
func TestQueueActionsAreOneJob(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *api.Options) { o.Params.MaxJobs = 1 })
	ctx := t.Context()
	ids, err := b.unix.QueueIDs(ctx)
	if check(t, ids, err); len(ids) == 0 {
		t.Fatal("an empty queue shows nothing")
	}
	j, err := b.unix.ActOnQueue(ctx, model.QueueAction{Action: "hold"})
	check(t, j, err)
	j, err = b.unix.WaitJob(ctx, j.ID, time.Second, nil)
	if check(t, j, err); j.State != model.JobDone || j.Done+j.Unchanged != int64(len(ids)) {
		t.Errorf("%+v of %d", j, len(ids))
	}
	_, err = b.unix.ActOnQueue(ctx, model.QueueAction{Action: "burn"})
	wantKind(t, "unknown action", err, model.Invalid)
	jobs, err := b.unix.Jobs(ctx, struct{}{}, "", 0)
	if check(t, jobs, err); len(jobs.Items) != 1 || !slices.ContainsFunc(jobs.Items, func(j model.Job) bool { return j.Object == "hold all" }) {
		t.Errorf("%+v", jobs)
	}
}

// panickingQueue panics for one message.
type panickingQueue struct {
	*queue
	bad string
}

func (q panickingQueue) Delete(ctx context.Context, id string) (bool, error) {
	if id == q.bad {
		panic("bad file")
	}
	return q.queue.Delete(ctx, id)
}

// TestAPanicInAJobIsOneFailure: the goroutines of a job are inside of a fence,
// too. The other messages are done, and the service lives.
func TestAPanicInAJobIsOneFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *api.Options) {
		q := o.Queue.(*queue)
		o.Queue = panickingQueue{q, "3D"}
	})
	ctx := t.Context()
	j, err := b.unix.ActOnQueue(ctx, model.QueueAction{Action: "delete"})
	check(t, j, err)
	j, err = b.unix.WaitJob(ctx, j.ID, time.Second, nil)
	if check(t, j, err); j.State != model.JobFailed || j.Done != 4 || j.Failed != 1 || len(j.Errors) != 1 ||
		!strings.HasPrefix(j.Errors[0], "3D: ") || strings.Contains(j.Errors[0], "bad file") {
		t.Errorf("%+v", j)
	}
	ids, err := b.unix.QueueIDs(ctx)
	if check(t, ids, err); !slices.Equal(ids, []string{"3D"}) {
		t.Errorf("%q", ids)
	}
}
