package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"toastmaster/admin/model"
)

// ActOnQueue begins to do something with all messages that a filter selects.
func (c *Client) ActOnQueue(ctx context.Context, in model.QueueAction) (model.Job, error) {
	return call[model.Job](ctx, c, request{method: http.MethodPost, path: "/queue/actions", in: in})
}

// Jobs lists a page of jobs, newest first. The first argument is for Each.
func (c *Client) Jobs(ctx context.Context, _ struct{}, after string, limit int) (model.Page[model.Job], error) {
	q := url.Values{}
	if after != "" {
		q.Set("after", after)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return call[model.Page[model.Job]](ctx, c, request{method: http.MethodGet, path: "/jobs", query: q})
}

// Job reads one.
func (c *Client) Job(ctx context.Context, id int64) (model.Job, error) {
	return call[model.Job](ctx, c, request{method: http.MethodGet, path: path("jobs", strconv.FormatInt(id, 10))})
}

// CancelJob ends one; what it has done stays done.
func (c *Client) CancelJob(ctx context.Context, id int64) (model.Job, error) {
	return call[model.Job](ctx, c, request{method: http.MethodPost, path: path("jobs", strconv.FormatInt(id, 10), "cancel")})
}

// The pauses of WaitJob between two questions, the first and the longest.
const (
	firstAsk = 20 * time.Millisecond
	lastAsk  = time.Second
)

// WaitJob asks until the job is over or ctx ends; progress, which may be nil, is
// told each time. A server that does not answer for a while (a restart: the job
// goes on after it) is asked again until patience is over, from the first question that
// it did not answer.
func (c *Client) WaitJob(ctx context.Context, id int64, patience time.Duration, progress func(model.Job)) (model.Job, error) {
	pause := firstAsk
	var unanswered time.Time // since when; zero if the last was answered
	for {
		asked := c.clock.Now()
		j, err := c.Job(ctx, id)
		switch {
		case ctx.Err() != nil:
			return j, ctx.Err()
		case model.KindOf(err) == model.Unavailable:
			if unanswered.IsZero() {
				unanswered = asked
			}
			if c.clock.Now().Sub(unanswered) >= patience {
				return j, err
			}
		case err != nil:
			return j, err
		default:
			unanswered = time.Time{}
			if progress != nil {
				progress(j)
			}
			if j.State.Over() {
				return j, nil
			}
		}
		timer := c.clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return j, ctx.Err()
		case <-timer.C():
		}
		pause = min(2*pause, lastAsk)
	}
}
