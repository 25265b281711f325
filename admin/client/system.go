package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"toastmaster/admin/model"
)

func queueQuery(f model.QueueFilter) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"place": f.Place, "sender": f.Sender, "recipient": f.Recipient, "id": f.ID, "site": f.Site} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// Queue lists a page of the queue.
func (c *Client) Queue(ctx context.Context, f model.QueueFilter, after string, limit int) (model.Page[model.QueuedMessage], error) {
	q := queueQuery(f)
	if after != "" {
		q.Set("after", after)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return call[model.Page[model.QueuedMessage]](ctx, c, request{method: http.MethodGet, path: "/queue", query: q})
}

// QueueRemains lists the files of the queue that belong to no message.
func (c *Client) QueueRemains(ctx context.Context) ([]model.QueueFiles, error) {
	out, err := call[model.QueueRemains](ctx, c, request{method: http.MethodGet, path: "/queue/remains"})
	return out.Items, err
}

// Queued reads one message of the queue.
func (c *Client) Queued(ctx context.Context, id string) (model.QueuedMessage, error) {
	return call[model.QueuedMessage](ctx, c, request{method: http.MethodGet, path: path("queue", id)})
}

// QueuedContent opens the message itself. The caller closes it.
func (c *Client) QueuedContent(ctx context.Context, id string) (io.ReadCloser, error) {
	res, err := c.do(ctx, request{method: http.MethodGet, path: path("queue", id, "content")})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// change is an action on one message: whether it changed anything.
func (c *Client) change(ctx context.Context, r request) (bool, error) {
	out, err := call[model.QueueChange](ctx, c, r)
	return out.Changed, err
}

// Hold takes a message out of delivery.
func (c *Client) Hold(ctx context.Context, id string) (bool, error) {
	return c.change(ctx, request{method: http.MethodPost, path: path("queue", id, "hold")})
}

// Release ends a hold.
func (c *Client) Release(ctx context.Context, id string) (bool, error) {
	return c.change(ctx, request{method: http.MethodPost, path: path("queue", id, "release")})
}

// Requeue makes a message due at once.
func (c *Client) Requeue(ctx context.Context, id string) (bool, error) {
	return c.change(ctx, request{method: http.MethodPost, path: path("queue", id, "requeue")})
}

// DeleteQueued deletes a message without a report.
func (c *Client) DeleteQueued(ctx context.Context, id string) (bool, error) {
	return c.change(ctx, request{method: http.MethodDelete, path: path("queue", id)})
}

// Expire makes a message expire.
func (c *Client) Expire(ctx context.Context, id string) (bool, error) {
	return c.change(ctx, request{method: http.MethodPost, path: path("queue", id, "expire")})
}

// Flush makes deferred messages due now and counts them.
func (c *Client) Flush(ctx context.Context, f model.QueueFilter) (int, error) {
	out, err := call[model.FlushResult](ctx, c, request{method: http.MethodPost, path: "/queue/flush", query: queueQuery(f)})
	return out.Flushed, err
}

// Status is the state of the instance.
func (c *Client) Status(ctx context.Context) (model.Status, error) {
	return call[model.Status](ctx, c, request{method: http.MethodGet, path: "/status"})
}

// Reload makes the instance read its certificates, its log file and its
// configuration again, and waits for the outcome.
func (c *Client) Reload(ctx context.Context) (model.Reloaded, error) {
	return call[model.Reloaded](ctx, c, request{method: http.MethodPost, path: "/reload"})
}

// AddToken makes a token; the secret is in the answer and nowhere else.
func (c *Client) AddToken(ctx context.Context, in model.NewToken) (model.TokenSecret, error) {
	return call[model.TokenSecret](ctx, c, request{method: http.MethodPost, path: "/tokens", in: in})
}

// Tokens lists all tokens.
func (c *Client) Tokens(ctx context.Context) ([]model.Token, error) {
	out, err := call[model.TokenList](ctx, c, request{method: http.MethodGet, path: "/tokens"})
	return out.Items, err
}

// RemoveToken revokes a token.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: path("tokens", name)})
}

// Audit lists a page of changes, newest first; object and name select, "" is
// any.
func (c *Client) Audit(ctx context.Context, object, name, after string, limit int) (model.Page[model.AuditEntry], error) {
	q := url.Values{}
	for key, value := range map[string]string{"object": object, "name": name, "after": after} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return call[model.Page[model.AuditEntry]](ctx, c, request{method: http.MethodGet, path: "/audit", query: q})
}

// QueueIDs lists the IDs of all messages in the queue.
func (c *Client) QueueIDs(ctx context.Context) ([]string, error) {
	out, err := call[model.QueueIDs](ctx, c, request{method: http.MethodGet, path: "/queue/ids"})
	return out.IDs, err
}

// ExportQueue opens a tar archive of messages, which the caller closes. It may
// end before the last of ids: see model.ExportEnd.
func (c *Client) ExportQueue(ctx context.Context, ids []string) (io.ReadCloser, error) {
	res, err := c.do(ctx, request{method: http.MethodPost, path: "/queue/export", in: model.QueueIDs{IDs: ids}})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Sessions lists the sessions that are logged in, of one mailbox or of all.
func (c *Client) Sessions(ctx context.Context, mailbox string) ([]model.Session, error) {
	q := url.Values{}
	if mailbox != "" {
		q.Set("mailbox", mailbox)
	}
	out, err := call[model.SessionList](ctx, c, request{method: http.MethodGet, path: "/sessions", query: q})
	return out.Items, err
}

// Kick ends sessions and counts them.
func (c *Client) Kick(ctx context.Context, in model.Kick) (int, error) {
	out, err := call[model.Kicked](ctx, c, request{method: http.MethodPost, path: "/sessions/kick", in: in})
	return out.Ended, err
}

// MailboxStatus reads what a mailbox holds and who uses it.
func (c *Client) MailboxStatus(ctx context.Context, address string) (model.MailboxStatus, error) {
	return call[model.MailboxStatus](ctx, c, request{method: http.MethodGet, path: path("mailboxes", address, "status")})
}
