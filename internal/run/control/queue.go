package control

import (
	"context"
	"io"
	"net/http"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
)

// listOf is what a listing of the queue asks for.
type listOf struct {
	Filter model.QueueFilter
	After  string
	Limit  int
}

// timeHeader and pathHeader tell of an exported file.
const (
	timeHeader = "X-Next"
	pathHeader = "X-Path"
)

// serveQueue answers what Queue asks.
func serveQueue(m *http.ServeMux, q api.Queue) {
	handle(m, "/queue/list", func(ctx context.Context, in listOf) ([]model.QueuedMessage, error) {
		return q.List(ctx, in.Filter, in.After, in.Limit)
	})
	handle(m, "/queue/get", q.Get)
	handle(m, "/queue/hold", q.Hold)
	handle(m, "/queue/release", q.Release)
	handle(m, "/queue/requeue", q.Requeue)
	handle(m, "/queue/expire", q.Expire)
	handle(m, "/queue/delete", q.Delete)
	handle(m, "/queue/flush", q.Flush)
	handle(m, "/queue/select", q.Select)
	handle(m, "/queue/remains", func(ctx context.Context, _ nothing) ([]model.QueueFiles, error) { return q.Remains(ctx) })
	handle(m, "/queue/ids", func(ctx context.Context, _ nothing) ([]string, error) { return q.IDs(ctx) })
	handle(m, "/queue/counts", func(ctx context.Context, _ nothing) (map[string]int64, error) { return q.Counts(ctx) })
	m.HandleFunc("POST /queue/content", func(w http.ResponseWriter, r *http.Request) {
		var id string
		if err := decode(w, r, &id); err != nil {
			fail(w, err)
			return
		}
		content, size, err := q.Content(r.Context(), id)
		if err != nil {
			fail(w, err)
			return
		}
		stream(w, content, size, nil)
	})
	m.HandleFunc("POST /queue/export", func(w http.ResponseWriter, r *http.Request) {
		var id string
		if err := decode(w, r, &id); err != nil {
			fail(w, err)
			return
		}
		f, err := q.Export(r.Context(), id)
		if err != nil {
			fail(w, err)
			return
		}
		stream(w, f.Content, f.Size, map[string]string{pathHeader: f.Path, timeHeader: f.Next.Format(time.RFC3339Nano)})
	})
}

// Queue is the queue of another process. What admin/api asks of a queue is a method here and
// a line in serveQueue.
type Queue struct{ c *Client }

var _ api.Queue = Queue{}

// List implements api.Queue, as the following do.
func (q Queue) List(ctx context.Context, f model.QueueFilter, after string, limit int) ([]model.QueuedMessage, error) {
	return call[[]model.QueuedMessage](ctx, q.c, "/queue/list", listOf{f, after, limit})
}

func (q Queue) Get(ctx context.Context, id string) (model.QueuedMessage, error) {
	return call[model.QueuedMessage](ctx, q.c, "/queue/get", id)
}

func (q Queue) Content(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	res, err := q.c.post(ctx, "/queue/content", id)
	if err != nil {
		return nil, 0, err
	}
	return res.Body, res.ContentLength, nil
}

func (q Queue) Hold(ctx context.Context, id string) (bool, error) {
	return call[bool](ctx, q.c, "/queue/hold", id)
}

func (q Queue) Release(ctx context.Context, id string) (bool, error) {
	return call[bool](ctx, q.c, "/queue/release", id)
}

func (q Queue) Requeue(ctx context.Context, id string) (bool, error) {
	return call[bool](ctx, q.c, "/queue/requeue", id)
}

func (q Queue) Expire(ctx context.Context, id string) (bool, error) {
	return call[bool](ctx, q.c, "/queue/expire", id)
}

func (q Queue) Delete(ctx context.Context, id string) (bool, error) {
	return call[bool](ctx, q.c, "/queue/delete", id)
}

func (q Queue) Flush(ctx context.Context, f model.QueueFilter) (int, error) {
	return call[int](ctx, q.c, "/queue/flush", f)
}

func (q Queue) Remains(ctx context.Context) ([]model.QueueFiles, error) {
	return call[[]model.QueueFiles](ctx, q.c, "/queue/remains", nothing{})
}

func (q Queue) IDs(ctx context.Context) ([]string, error) {
	return call[[]string](ctx, q.c, "/queue/ids", nothing{})
}

func (q Queue) Select(ctx context.Context, f model.QueueFilter) ([]string, error) {
	return call[[]string](ctx, q.c, "/queue/select", f)
}

func (q Queue) Export(ctx context.Context, id string) (api.QueueFile, error) {
	res, err := q.c.post(ctx, "/queue/export", id)
	if err != nil {
		return api.QueueFile{}, err
	}
	next, err := time.Parse(time.RFC3339Nano, res.Header.Get(timeHeader))
	if err != nil {
		_ = res.Body.Close()
		return api.QueueFile{}, err
	}
	return api.QueueFile{Path: res.Header.Get(pathHeader), Next: next, Size: res.ContentLength, Content: res.Body}, nil
}

func (q Queue) Counts(ctx context.Context) (map[string]int64, error) {
	return call[map[string]int64](ctx, q.c, "/queue/counts", nothing{})
}
