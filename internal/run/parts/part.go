package parts

import (
	"context"

	"toastmaster/configs"
	"toastmaster/internal/identity"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
)

// Part is one of the three places where the data of an instance lies. They
// belong together: mail in the queue is for the mailboxes of the database, and
// the store's folders are theirs. So each carries the id of the instance, and
// only init and demo make one.
type Part struct {
	Name  string // as --new and --adopt call it
	What  string // in a sentence
	param string
	Path  string
	found identity.Found
	// temporary says that an error of inspect may pass; nil for one that never does.
	temporary func(error) bool
	// inspect looks at it, create makes it or what it lacks, with an id. With
	// adopt set it takes over what is somebody else's.
	inspect func(context.Context) (identity.Found, error)
	create  func(ctx context.Context, id identity.ID, adopt bool) error
}

// partNames are the names of the parts, in the order in which they are made:
// what is made last says that all is there.
var partNames = [...]string{Store, Queue, Database}

// The names of the parts.
const (
	Store    = "store"
	Queue    = "queue"
	Database = "database"
)

// partsOf are the parts of a configuration, not looked at yet.
func partsOf(c *configs.Config) ([]*Part, error) {
	storeFS, queueFS := rights.StoreFS(c), rights.QueueFS(c)
	store, mailQueue := c.Path(c.Store.Path), c.Path(configs.QueueDir)
	row, err := directoryOf(c)
	if err != nil {
		return nil, c.Mistake("directory.type", err)
	}
	return []*Part{
		{
			Name: Store, What: "the mail store", param: "store.path", Path: store,
			inspect: func(context.Context) (identity.Found, error) { return mailstore.Inspect(storeFS, store) },
			create: func(_ context.Context, id identity.ID, adopt bool) error {
				return mailstore.Create(storeFS, store, id, adopt)
			},
		},
		{
			Name: Queue, What: "the queue", param: "main.data_dir", Path: mailQueue,
			inspect: func(context.Context) (identity.Found, error) { return queue.Inspect(queueFS, mailQueue) },
			create:  func(_ context.Context, id identity.ID, _ bool) error { return queue.Create(queueFS, mailQueue, id) },
		},
		{
			Name: Database, What: "the database", param: row.param, Path: row.location(c), temporary: row.temporary,
			inspect: func(ctx context.Context) (identity.Found, error) { return row.inspect(ctx, c) },
			create:  func(ctx context.Context, id identity.ID, _ bool) error { return row.create(ctx, c, id) },
		},
	}, nil
}

// mistake is what inspect says: one of usage, unless it may pass.
func (p *Part) mistake(ctx context.Context, c *configs.Config, err error) error {
	if ctx.Err() != nil || p.temporary != nil && p.temporary(err) {
		return c.Mistake(p.param, err)
	}
	return usage.New(c.Mistake(p.param, err))
}

func having(parts []*Part, is func(*Part) bool) (out []*Part) {
	for _, p := range parts {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}
