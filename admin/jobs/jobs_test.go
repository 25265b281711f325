package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
)

// TestProgress is told at any time, and written down every second.
func TestProgress(t *testing.T) {
	t.Parallel()
	stepped, goOn := make(chan struct{}), make(chan struct{})
	g := newRig(t, map[string]Func{"count": func(ctx context.Context, k *Task) error {
		if string(k.Input) != `{"of":"things"}` || k.Actor != "tester" {
			return fmt.Errorf("%s %s", k.Input, k.Actor)
		}
		k.All(4)
		k.Done()
		k.Done()
		k.Unchanged()
		stepped <- struct{}{}
		<-goOn
		k.Done()
		return nil
	}})
	r, stop := g.run(g.options())
	j := g.add(r, "count", "things")
	if j.State != model.JobWaiting || j.Started != nil {
		t.Errorf("%+v", j)
	}
	receive(t, stepped)
	g.waitTimers(1)
	live, err := r.Job(t.Context(), j.ID)
	if err != nil || live.State != model.JobRunning || live.Total != 4 || live.Done != 2 || live.Unchanged != 1 {
		t.Errorf("%+v %v", live, err)
	}
	if k := g.kept(j.ID); k.Total != 0 || k.State != model.JobRunning {
		t.Errorf("written down already: %+v", k)
	}
	g.clock.Advance(time.Second)
	g.waitTimers(1) // the next one: it is written down
	if k := g.kept(j.ID); k.Total != 4 || k.Done != 2 || k.Unchanged != 1 || k.Ended != nil {
		t.Errorf("after a second: %+v", k)
	}
	list, err := r.Jobs(t.Context(), 0, 10)
	if err != nil || len(list) != 1 || list[0].Done != 2 {
		t.Errorf("%+v %v", list, err)
	}
	g.clock.Advance(time.Minute - time.Second)
	close(goOn)
	g.log.await(t, "status=done", 1)
	stop()
	k := g.kept(j.ID)
	if k.State != model.JobDone || k.Done != 3 || k.Error != "" || !k.Created.Equal(*k.Started) || k.Ended.Sub(*k.Started) != time.Minute {
		t.Errorf("%+v", k)
	}
	if n := g.clock.Timers(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
	if log := g.log.String(); !strings.Contains(log, "done=3 unchanged=1 failed=0 duration=1m0s") {
		t.Error(log)
	}
}

// TestInterruptAndResume: the end of the service interrupts a job, which goes on
// with the next start and knows how much is left.
func TestInterruptAndResume(t *testing.T) {
	t.Parallel()
	left, began := 5, make(chan struct{}, 1)
	g := newRig(t, nil)
	g.kinds = map[string]Func{"eat": func(ctx context.Context, k *Task) error {
		k.Left(int64(left))
		for ; left > 0; left-- {
			if left == 3 {
				k.Failed("crumb", errOwn)
				began <- struct{}{}
				<-ctx.Done()
				left--
				return ctx.Err()
			}
			k.Done()
		}
		return nil
	}}
	r, stop := g.run(g.options())
	j := g.add(r, "eat", "cake")
	receive(t, began)
	g.waitTimers(1)
	g.clock.Advance(time.Hour)
	g.waitTimers(1)
	stop()
	first := g.kept(j.ID)
	if first.State != model.JobRunning || first.Ended != nil || first.Total != 5 || first.Done != 2 || first.Failed != 1 || len(first.Errors) != 1 {
		t.Errorf("interrupted: %+v", first)
	}
	if log := g.log.String(); !strings.Contains(log, "status=interrupted") || strings.Contains(log, "level=ERROR") {
		t.Error(log)
	}
	g.clock.Advance(time.Hour)
	_, stop = g.run(g.options())
	g.log.await(t, "status=done", 1)
	stop()
	k := g.kept(j.ID)
	if k.State != model.JobDone || k.Total != 5 || k.Done != 5 || k.Failed != 0 || len(k.Errors) != 0 ||
		!k.Started.Equal(*first.Started) || k.Ended.Sub(*k.Started) != 2*time.Hour {
		t.Errorf("resumed: %+v", k)
	}
}

// TestResumeAfterAKill: what the database says after a kill is enough. A job that was
// to be cancelled is cancelled and does nothing more; one of a kind that this
// version does not know fails.
func TestResumeAfterAKill(t *testing.T) {
	t.Parallel()
	var done []string
	g := newRig(t, map[string]Func{"work": func(_ context.Context, k *Task) error {
		done = append(done, string(k.Input))
		k.All(1)
		k.Done()
		return nil
	}, "gone": func(context.Context, *Task) error { return nil }})
	dead := New(g.options()) // as far as it came before the kill
	var jobs []model.Job
	for _, object := range []string{"a", "b", "c"} {
		jobs = append(jobs, g.add(dead, "work", object))
	}
	jobs = append(jobs, g.add(dead, "gone", "d"))
	began := g.clock.Now()
	for _, i := range []int{0, 1, 3} {
		j := jobs[i]
		j.State, j.Started, j.Total, j.Done, j.Failed, j.Errors = model.JobRunning, &began, 7, 3, 2, []string{"x: y", "z: y"}
		if err := g.store.SaveJob(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dead.Cancel(t.Context(), "tester", jobs[1].ID); err != nil {
		t.Fatal(err)
	}
	if k := g.kept(jobs[1].ID); k.State != model.JobCancelling {
		t.Errorf("%+v", k)
	}
	g.clock.Advance(time.Hour)
	delete(g.kinds, "gone")
	o := g.options()
	o.Workers = 1
	_, stop := g.run(o)
	g.log.await(t, "status=done", 2)
	g.log.await(t, "status=cancelled", 1)
	g.log.await(t, "object=d status=failed", 1)
	stop()
	if !slices.Equal(done, []string{`{"of":"a"}`, `{"of":"c"}`}) {
		t.Errorf("%q", done)
	}
	if k := g.kept(jobs[0].ID); k.State != model.JobDone || k.Total != 1 || k.Done != 1 || k.Failed != 0 || !k.Started.Equal(began) {
		t.Errorf("%+v", k)
	}
	if k := g.kept(jobs[1].ID); k.State != model.JobCancelled || k.Done != 3 || !k.Ended.Equal(g.clock.Now()) {
		t.Errorf("%+v", k)
	}
	if k := g.kept(jobs[3].ID); k.State != model.JobFailed || k.Error != "this version knows no jobs of this kind" {
		t.Errorf("%+v", k)
	}
}

// TestWorkers do the oldest jobs first, so many at once.
func TestWorkers(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan string, 10), map[string]chan struct{}{}
	for _, object := range []string{"a", "b", "c", "d"} {
		goOn[object] = make(chan struct{})
	}
	g := newRig(t, map[string]Func{"wait": func(_ context.Context, k *Task) error {
		object := strings.Trim(strings.TrimPrefix(string(k.Input), `{"of":`), `"}`)
		begun <- object
		<-goOn[object]
		return nil
	}})
	o := g.options()
	r := New(o)
	var jobs []model.Job
	for _, object := range []string{"a", "b", "c", "d"} {
		jobs = append(jobs, g.add(r, "wait", object))
	}
	r, stop := g.run(o)
	first := []string{receive(t, begun), receive(t, begun)}
	slices.Sort(first)
	if !slices.Equal(first, []string{"a", "b"}) {
		t.Errorf("%q began first", first)
	}
	g.waitTimers(2)
	g.add(r, "wait", "a") // the Runner looks, and has no worker
	if k, err := r.Job(t.Context(), jobs[2].ID); err != nil || k.State != model.JobWaiting {
		t.Errorf("%+v %v", k, err)
	}
	close(goOn["b"])
	if third := receive(t, begun); third != "c" {
		t.Errorf("%q began third", third)
	}
	select {
	case object := <-begun:
		t.Errorf("%q began although both workers have something", object)
	default:
	}
	close(goOn["c"])
	if fourth := receive(t, begun); fourth != "d" {
		t.Errorf("%q began fourth", fourth)
	}
	close(goOn["a"])
	close(goOn["d"])
	g.log.await(t, "status=done", 5)
	stop()
}

// TestPanics: a job whose code panics has failed, wherever it does; the others,
// and the Runner, go on.
func TestPanics(t *testing.T) {
	t.Parallel()
	g := newRig(t, map[string]Func{
		"panic": func(context.Context, *Task) error { panic("secret state") },
		"inner": func(_ context.Context, k *Task) error {
			done := make(chan error)
			go func() { done <- k.Fence(func() error { panic("secret state") }) }()
			k.Failed("one", <-done)
			return nil
		},
		"fine": func(context.Context, *Task) error { return nil },
	})
	g.log.poison = "object=outside actor=" // not in the Func, but beside it
	o := g.options()
	o.Workers = 1
	r, stop := g.run(o)
	failed := []model.Job{g.add(r, "panic", "func"), g.add(r, "inner", "goroutine"), g.add(r, "fine", "outside")}
	fine := g.add(r, "fine", "after")
	g.log.await(t, "object=after status=done", 1)
	stop()
	for i, want := range []struct{ err, first string }{
		{"internal error, see the log", ""}, {"1 could not be done", "one: internal error, see the log"}, {"internal error, see the log", ""},
	} {
		k := g.kept(failed[i].ID)
		if k.State != model.JobFailed || k.Error != want.err || strings.Join(k.Errors, "") != want.first || k.Ended == nil {
			t.Errorf("%+v", k)
		}
	}
	if k := g.kept(fine.ID); k.State != model.JobDone {
		t.Errorf("%+v", k)
	}
	log := g.log.String()
	if n := strings.Count(log, "msg=panic service=admin job="); n != 3 || strings.Count(log, `cause="secret state"`) != 2 || !strings.Contains(log, "stack=") {
		t.Errorf("%d panics: %s", n, log)
	}
	if strings.Contains(log, "object=outside status=done") {
		t.Error(log)
	}
}

// TestBounds of what may wait, of what is kept, and of the failures of one job.
func TestBounds(t *testing.T) {
	t.Parallel()
	g := newRig(t, map[string]Func{"fail": func(_ context.Context, k *Task) error {
		k.All(50)
		for i := range 50 {
			k.Failed(fmt.Sprintf("thing%d", i), model.Fail(model.InUse, "in use"))
		}
		if !k.AnyFailed() {
			return errOwn
		}
		return nil
	}})
	o := g.options()
	o.Open, o.History = 3, 4
	r := New(o)
	for i := range 3 {
		g.add(r, "fail", fmt.Sprint(i))
	}
	_, err := r.Add(t.Context(), "tester", model.JobInput{Kind: "fail", Input: []byte("{}")})
	if model.KindOf(err) != model.OverLimit || !strings.Contains(err.Error(), "admin.max_jobs") {
		t.Errorf("%v", err)
	}
	if _, err := r.Add(t.Context(), "tester", model.JobInput{Kind: "nonsense", Input: []byte("{}")}); err == nil {
		t.Error("an unknown kind was taken")
	}
	r, stop := g.run(o)
	for i := 3; i < 10; i++ {
		g.log.await(t, "status=failed", i) // the oldest is over: there is room
		g.add(r, "fail", fmt.Sprint(i))
	}
	g.log.await(t, "status=failed", 10)
	stop()
	all, err := r.Jobs(t.Context(), 0, 100)
	if err != nil || len(all) < o.History || len(all) > o.History+o.Open {
		t.Fatalf("%d are kept, %v", len(all), err)
	}
	k := all[0]
	if k.Object != "9" || k.State != model.JobFailed || k.Failed != 50 || k.Error != "50 could not be done" || len(k.Errors) != maxErrors || k.Errors[0] != "thing0: in use" {
		t.Errorf("%+v", k)
	}
}

// TestCancel ends a job that runs, and one that waits before it began; what is over
// stays what it is.
func TestCancel(t *testing.T) {
	t.Parallel()
	began, goOn, calls := make(chan struct{}, 10), make(chan struct{}), 0
	g := newRig(t, map[string]Func{"wait": func(ctx context.Context, k *Task) error {
		calls++
		k.All(2)
		k.Done()
		began <- struct{}{}
		<-ctx.Done()
		<-goOn
		return ctx.Err()
	}})
	o := g.options()
	o.Workers = 1
	r, stop := g.run(o)
	running, waiting := g.add(r, "wait", "running"), g.add(r, "wait", "waiting")
	receive(t, began)
	if j, err := r.Cancel(t.Context(), "boss", waiting.ID); err != nil || j.State != model.JobCancelled || !j.Ended.Equal(g.clock.Now()) {
		t.Errorf("%+v %v", j, err)
	}
	if j, err := r.Cancel(t.Context(), "boss", running.ID); err != nil || j.State != model.JobCancelling {
		t.Errorf("%+v %v", j, err)
	}
	g.waitTimers(1)
	g.clock.Advance(time.Second)
	g.waitTimers(1)
	if k := g.kept(running.ID); k.State != model.JobCancelling || k.Done != 1 {
		t.Errorf("what it has done is written down, and that it is to end: %+v", k)
	}
	close(goOn)
	g.log.await(t, "object=running status=cancelled", 1)
	for _, id := range []int64{running.ID, waiting.ID} {
		if _, err := r.Cancel(t.Context(), "boss", id); model.KindOf(err) != model.InUse {
			t.Errorf("%v", err)
		}
	}
	if _, err := r.Cancel(t.Context(), "boss", 99); model.KindOf(err) != model.NotFound {
		t.Errorf("%v", err)
	}
	stop()
	if k := g.kept(running.ID); k.State != model.JobCancelled || k.Done != 1 || k.Error != "" {
		t.Errorf("%+v", k)
	}
	if calls != 1 || strings.Contains(g.log.String(), "level=ERROR") {
		t.Errorf("%d calls: %s", calls, g.log.String())
	}
}

// TestTheDatabaseFails: jobs are looked for again after a while, by the clock, and a
// failure that is not the caller's has no cause for the caller.
func TestTheDatabaseFails(t *testing.T) {
	t.Parallel()
	g := newRig(t, map[string]Func{"fail": func(context.Context, *Task) error { return errOwn }})
	rename := func(from, to string) {
		t.Helper()
		if _, err := g.writer.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	j := g.add(New(g.options()), "fail", "x")
	rename("jobs", "elsewhere")
	_, stop := g.run(g.options())
	g.log.await(t, "msg=jobs status=failed", 1)
	g.waitTimers(1)
	rename("elsewhere", "jobs")
	g.clock.Advance(retryAfter)
	g.log.await(t, "cause=\"secret cause\"", 1)
	stop()
	if k := g.kept(j.ID); k.State != model.JobFailed || k.Error != "internal error, see the log" || !k.Ended.Equal(g.clock.Now()) {
		t.Errorf("%+v", k)
	}
}

// TestAPanicOfTheNote about how far a job is ends neither the job nor the notes.
func TestAPanicOfTheNote(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	g := newRig(t, map[string]Func{"wait": func(_ context.Context, k *Task) error {
		k.All(1)
		<-goOn
		k.Done()
		return nil
	}})
	r, stop := g.run(g.options())
	j := g.add(r, "wait", "x")
	g.waitTimers(1)
	rename := func(from, to string) {
		t.Helper()
		if _, err := g.writer.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("jobs", "elsewhere")
	g.log.mu.Lock()
	g.log.poison = `status="not saved"`
	g.log.mu.Unlock()
	g.clock.Advance(time.Second)
	g.log.await(t, "msg=panic", 1)
	g.waitTimers(1)
	rename("elsewhere", "jobs")
	g.clock.Advance(time.Second)
	g.waitTimers(1)
	if k := g.kept(j.ID); k.Total != 1 {
		t.Errorf("%+v", k)
	}
	close(goOn)
	g.log.await(t, "status=done", 1)
	stop()
}
