package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"toastmaster/admin/jobs"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
)

// The kinds of jobs.
const (
	jobPurgeDomain    = "purge-domain"
	jobPurgeMailboxes = "purge-mailboxes"
	jobQueue          = "queue"
)

func (h *handlers) jobKinds() map[string]jobs.Func {
	return map[string]jobs.Func{
		jobPurgeDomain: h.purgeDomain, jobPurgeMailboxes: h.purgeEach, jobQueue: h.queueJob,
	}
}

// accepted is the answer to what became a job.
type accepted struct {
	Status   int
	Location string `header:"Location"`
	Body     model.Job
}

// addJob keeps a job and answers where to ask for it.
func (h *handlers) addJob(ctx context.Context, actor, kind, object string, input any) (*accepted, error) {
	b, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	j, err := h.jobs.Add(ctx, actor, model.JobInput{Kind: kind, Object: object, Input: b})
	if err != nil {
		return nil, err
	}
	return &accepted{http.StatusAccepted, apiRoot + "/jobs/" + strconv.FormatInt(j.ID, 10), j}, nil
}

type listJobsInput struct {
	Before int64 `query:"after" minimum:"0" doc:"Where to go on: next of the page before"`
	Limit  int   `query:"limit" minimum:"1" maximum:"1000"`
}

func (h *handlers) listJobs(ctx context.Context, _ caller, in *listJobsInput) (*body[model.Page[model.Job]], error) {
	limit := h.limit(Paging{Limit: in.Limit})
	items, err := h.jobs.Jobs(ctx, in.Before, limit)
	page := model.Page[model.Job]{Items: items}
	if len(items) == limit {
		page.Next = strconv.FormatInt(items[limit-1].ID, 10)
	}
	if page.Items == nil {
		page.Items = []model.Job{}
	}
	return &body[model.Page[model.Job]]{page}, err
}

// JobIDInput is the path of an operation on one job.
type JobIDInput struct {
	ID int64 `path:"id" minimum:"1"`
}

func (h *handlers) showJob(ctx context.Context, _ caller, in *JobIDInput) (*body[model.Job], error) {
	j, err := h.jobs.Job(ctx, in.ID)
	return &body[model.Job]{j}, err
}

func (h *handlers) cancelJob(ctx context.Context, by caller, in *JobIDInput) (*body[model.Job], error) {
	j, err := h.jobs.Cancel(ctx, by.name, in.ID)
	return &body[model.Job]{j}, err
}

// purgeMailboxes begins a job; what is wrong with one address is said by the job.
func (h *handlers) purgeMailboxes(ctx context.Context, by caller, in *body[model.Purge]) (*accepted, error) {
	switch {
	case h.o.Purge == nil:
		return nil, model.Fail(model.Unavailable, "this server cannot remove mail")
	case in.Body.Domain != "" || len(in.Body.Addresses) == 0:
		return nil, model.Fail(model.Invalid, "addresses are needed, and nothing else; a domain is removed with DELETE /domains/{name}?all=true&purge=true")
	}
	object := in.Body.Addresses[0]
	if n := len(in.Body.Addresses); n > 1 {
		object = fmt.Sprintf("%s and %d more", object, n-1)
	}
	return h.addJob(ctx, by.name, jobPurgeMailboxes, object, in.Body)
}

// purgeDomain is the job that removes the mail of every mailbox of a domain and
// then the mailbox, one by one, and the domain at last: what fails can be tried
// again and nothing is forgotten.
func (h *handlers) purgeDomain(ctx context.Context, t *jobs.Task) error {
	var in model.Purge
	if err := json.Unmarshal(t.Input, &in); err != nil {
		return err
	}
	off := false
	_, err := h.o.Store.SetDomain(ctx, t.Actor, in.Domain, model.DomainChange{Enabled: &off})
	if model.KindOf(err) == model.NotFound {
		return nil // it was interrupted at its very end
	}
	if err != nil {
		return err
	}
	left, err := h.o.Store.MailboxesOf(ctx, in.Domain)
	if err != nil {
		return err
	}
	t.Left(left)
	after := ""
	for {
		page, err := h.o.Store.Mailboxes(ctx, model.Filter{Domain: in.Domain}, after, store.MaxPage)
		if err != nil {
			return err
		}
		for _, m := range page.Items {
			if err := h.purgeOne(ctx, t, m); err != nil {
				return err
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if t.AnyFailed() {
		return nil // the domain stays for those
	}
	err = h.o.Store.RemoveDomain(ctx, t.Actor, in.Domain, true)
	if model.KindOf(err) == model.NotFound {
		return nil // another job for the same domain was faster
	}
	return err
}

// purgeOne removes a mailbox with its mail. The error ends the job.
func (h *handlers) purgeOne(ctx context.Context, t *jobs.Task, m model.Mailbox) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := h.purgeMailbox(ctx, t.Actor, m)
	if err == nil {
		_, err = h.o.Store.RemoveMailbox(ctx, t.Actor, m.Address)
	}
	switch {
	case err == nil:
		t.Done()
	case ctx.Err() != nil:
		return ctx.Err()
	case model.KindOf(err) == model.NotFound:
		t.Unchanged()
	default:
		h.logFailure(ctx, err)
		t.Failed(m.Address, err)
	}
	return nil
}

// purgeEach is the job that removes mailboxes with their mail, or the mail of those
// that were removed before.
func (h *handlers) purgeEach(ctx context.Context, t *jobs.Task) error {
	var in model.Purge
	if err := json.Unmarshal(t.Input, &in); err != nil {
		return err
	}
	t.All(int64(len(in.Addresses)))
	for _, text := range in.Addresses {
		if err := ctx.Err(); err != nil {
			return err
		}
		address, _, err := onAddress(text)
		if err == nil {
			err = h.o.Store.MayRemoveMailbox(ctx, address)
		}
		var m model.Mailbox
		if err == nil {
			m, err = h.o.Store.Mailbox(ctx, address)
		}
		switch {
		case err == nil:
			if err := h.purgeOne(ctx, t, m); err != nil {
				return err
			}
		case model.KindOf(err) == model.NotFound:
			h.purgeLeft(ctx, t, address)
		default:
			t.Failed(text, err)
		}
	}
	return nil
}

// purgeLeft removes the mail of a mailbox that is not there any more.
func (h *handlers) purgeLeft(ctx context.Context, t *jobs.Task, address string) {
	_, err := h.purgeOldMail(ctx, address)
	switch {
	case err == nil:
		t.Done()
	case model.KindOf(err) == model.NotFound:
		t.Unchanged()
	case ctx.Err() == nil:
		t.Failed(address, err)
	}
}

func (h *handlers) actOnQueue(ctx context.Context, by caller, in *body[model.QueueAction]) (*accepted, error) {
	if h.queueActions()[in.Body.Action] == nil {
		return nil, model.Fail(model.Invalid, "action is one of hold, release, requeue, delete")
	}
	return h.addJob(ctx, by.name, jobQueue, in.Body.Action+describeFilter(in.Body.Filter), in.Body)
}

func describeFilter(f model.QueueFilter) string {
	text := ""
	for _, part := range [][2]string{{"place", f.Place}, {"sender", f.Sender}, {"recipient", f.Recipient}, {"id", f.ID}, {"site", f.Site}} {
		if part[1] != "" {
			text += " " + part[0] + "=" + part[1]
		}
	}
	if text == "" {
		return " all"
	}
	return text
}

func (h *handlers) queueActions() map[string]func(context.Context, string) (bool, error) {
	q := h.o.Queue
	return map[string]func(context.Context, string) (bool, error){
		"hold": q.Hold, "release": q.Release, "requeue": q.Requeue, "expire": q.Expire, "delete": q.Delete,
	}
}

// queueWorkers act on as many messages at once: each waits for a sync of its folder,
// and many that wait at once share one. It is no parameter: more than share a sync
// gain nothing, and fewer help nobody.
const queueWorkers = 16

// queueJob is the job that acts on all messages that the filter selects. Those that
// come meanwhile are not its business.
func (h *handlers) queueJob(ctx context.Context, t *jobs.Task) error {
	var in model.QueueAction
	if err := json.Unmarshal(t.Input, &in); err != nil {
		return err
	}
	act := h.queueActions()[in.Action]
	ids, err := h.o.Queue.Select(ctx, in.Filter)
	if err != nil {
		return err
	}
	if in.Action == "delete" {
		t.Left(int64(len(ids)))
	} else {
		t.All(int64(len(ids)))
	}
	next := make(chan string)
	var workers sync.WaitGroup
	for range queueWorkers {
		workers.Go(func() {
			for id := range next { // beside the fence there is only counting
				changed := false
				err := t.Fence(func() (err error) {
					changed, err = act(ctx, id)
					return err
				})
				switch {
				case err == nil && changed:
					t.Done()
				case err == nil || model.KindOf(err) == model.NotFound:
					t.Unchanged()
				case ctx.Err() == nil:
					h.logFailure(ctx, err)
					t.Failed(id, err)
				}
			}
		})
	}
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		next <- id
	}
	close(next)
	workers.Wait()
	return ctx.Err()
}
