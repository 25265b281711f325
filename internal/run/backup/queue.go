package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/run"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/vfs"
	"toastmaster/mta/queue"
)

// queueSource gives out the messages of the queue: the process that has it, or
// this one.
type queueSource interface {
	ids(ctx context.Context) ([]string, error)
	// export calls f with the file of each message that is still there.
	export(ctx context.Context, ids []string, f func(path string, next time.Time, content io.Reader) error) error
	close() error
}

// queue copies the queue. Messages in its journal get files of their own, so that
// a backup needs no journal.
//
// Two rounds: a message that left while the first worked may have a report in its
// place, which was queued before it left. What leaves while the second works was
// either there in the first, or is such a report, or was accepted since.
func (r *making) queue(ctx context.Context) (err error) {
	s, err := r.w.Begin(queueSection)
	if err != nil {
		return err
	}
	dir := r.c.Path(configs.QueueDir)
	if err := copyTop(s, dir); err != nil {
		return err
	}
	if err := copyTree(s, dir, "corrupt"); err != nil {
		return err
	}
	source, err := r.openQueueSource(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	have := map[string]bool{}
	for range 2 {
		ids, err := source.ids(ctx)
		if err != nil {
			return err
		}
		var missing []string
		for _, id := range ids {
			if !have[id] {
				missing = append(missing, id)
			}
		}
		err = source.export(ctx, missing, func(name string, next time.Time, content io.Reader) error {
			id := path.Base(name)
			if have[id] {
				return nil
			}
			if _, err := s.Write(name, 0o600, next, content); err != nil {
				return err
			}
			have[id] = true
			r.queued = len(have)
			r.progress(fmt.Sprintf("%s of the queue", messages(len(have))), int64(len(have)), int64(len(ids)))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.End()
}

// openQueueSource asks the process that serves the instance. Without one, this
// process finishes what the last one left undone in queue and store.
func (r *making) openQueueSource(ctx context.Context) (queueSource, error) {
	served, err := isServed(r.c.Path(configs.QueueDir))
	if err != nil {
		return nil, err
	}
	if served {
		c := client.NewUnix(r.c.Path(r.c.Admin.Socket))
		if _, err := c.Status(ctx); err != nil {
			c.Close()
			return nil, fmt.Errorf("a process has the queue, but does not answer: %w", err)
		}
		return &servedQueue{c}, nil
	}
	i, err := run.OpenMail(ctx, r.c)
	if err != nil {
		return nil, err
	}
	return &ownQueue{r.c, i}, nil
}

// isServed says whether a process has the queue.
func isServed(dir string) (bool, error) {
	f, err := vfs.OS{}.OpenFile(filepath.Join(dir, queue.LockFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = f.TryLock()
	if errors.Is(err, vfs.ErrLocked) {
		return true, f.Close()
	}
	return false, errors.Join(err, f.Close())
}

// servedQueue is that of a running instance.
type servedQueue struct{ c *client.Client }

func (q *servedQueue) ids(ctx context.Context) ([]string, error) { return q.c.QueueIDs(ctx) }

func (q *servedQueue) close() error { q.c.Close(); return nil }

// exportAtOnce is how many messages one request asks for.
const exportAtOnce = 500

func (q *servedQueue) export(ctx context.Context, ids []string, f func(string, time.Time, io.Reader) error) error {
	for len(ids) > 0 {
		n, err := q.some(ctx, ids[:min(len(ids), exportAtOnce)], f)
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// some reads one answer, and returns how many of ids it was about.
func (q *servedQueue) some(ctx context.Context, ids []string, f func(string, time.Time, io.Reader) error) (int, error) {
	in, err := q.c.ExportQueue(ctx, ids)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if err != nil {
			return 0, fmt.Errorf("the answer of the service was cut off: %w", err)
		}
		if h.Name != model.ExportEnd {
			if err := f(h.Name, h.ModTime, r); err != nil {
				return 0, err
			}
			continue
		}
		text, err := io.ReadAll(io.LimitReader(r, 20))
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(string(text))
		if err == nil && (n < 1 || n > len(ids)) {
			err = fmt.Errorf("the service says that it worked on %d of %d messages", n, len(ids))
		}
		return n, err
	}
}

// messages counts them in words.
func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// ownQueue is that of an instance that nobody serves.
type ownQueue struct {
	c *configs.Config
	i *run.Instance
}

func (q *ownQueue) close() error { return rights.AsOwner(q.c, q.i.Close) }

func (q *ownQueue) ids(ctx context.Context) ([]string, error) {
	return q.i.Queue().IDs(ctx)
}

func (q *ownQueue) export(ctx context.Context, ids []string, f func(string, time.Time, io.Reader) error) error {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := q.i.Queue().Export(ctx, id)
		if model.KindOf(err) == model.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		err = f(x.Path, x.Next, x.Content)
		if err := errors.Join(err, x.Content.Close()); err != nil {
			return err
		}
	}
	return nil
}
