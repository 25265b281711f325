package api

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"time"

	"toastmaster/admin/jobs"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/internal/addr"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// Queue is what the API does with the mail queue. Its errors for a message that
// is not there are *model.Error of kind NotFound.
type Queue interface {
	// List returns up to limit messages with an ID greater than after.
	List(ctx context.Context, f model.QueueFilter, after string, limit int) ([]model.QueuedMessage, error)
	Get(ctx context.Context, id string) (model.QueuedMessage, error)
	// Content opens the message with LF line ends, and says its size. The
	// caller closes it.
	Content(ctx context.Context, id string) (io.ReadCloser, int64, error)
	// These five say whether they changed anything.
	Hold(ctx context.Context, id string) (bool, error)
	Release(ctx context.Context, id string) (bool, error)
	Requeue(ctx context.Context, id string) (bool, error)
	Expire(ctx context.Context, id string) (bool, error)
	Delete(ctx context.Context, id string) (bool, error)
	// Flush makes deferred messages due now and counts them.
	Flush(ctx context.Context, f model.QueueFilter) (int, error)
	// Remains are files of the queue that belong to no message.
	Remains(ctx context.Context) ([]model.QueueFiles, error)
	// IDs are those of all messages that are not damaged.
	IDs(ctx context.Context) ([]string, error)
	// Select lists the IDs of the messages that f selects.
	Select(ctx context.Context, f model.QueueFilter) ([]string, error)
	// Export makes the file that a message has in a queue that is not open.
	Export(ctx context.Context, id string) (QueueFile, error)
	// Counts counts the messages in each place.
	Counts(ctx context.Context) (map[string]int64, error)
}

// QueueFile is a message as a file of the queue. Whoever asked for it closes the
// content.
type QueueFile struct {
	// Path is below the queue's folder; the time of the file is Next.
	Path    string
	Next    time.Time
	Size    int64
	Content io.ReadCloser
}

// Options are what a Server is made of.
type Options struct {
	Params configs.Admin
	// Hostname is main.hostname, Version that of the program.
	Hostname, Version string
	// Trusted may read /metrics without a token: main.trusted_networks, as they are when somebody asks; nil is nobody.
	Trusted func() []netip.Prefix
	// Listeners are TCP ports with or without TLS, and unix sockets. The
	// Server closes them.
	Listeners []service.Listener
	// Operators are the users, beside root and the one of this process, who are superadmin on a unix socket.
	Operators []int
	// Counter counts the connections of a client (anvil.Connect, as "admin"); nil
	// is one of the Server's own.
	Counter *anvil.Counter

	Store *store.Store
	// Queue and the functions below may be nil, which takes their part away.
	Queue Queue
	// Mail is the mail of the mailboxes.
	Mail Mail
	// Sessions are those that are logged in, nil without.
	Sessions Sessions
	// Usage is what a mailbox holds: octets and messages.
	Usage func(ctx context.Context, m directory.Mailbox) (bytes, messages int64, err error)
	// Services is the state of the running services.
	Services func() []model.Service
	// Decide is what the mail services would decide about an address, which may have no
	// domain. Foreign has an Err where nobody would get the mail.
	Decide func(ctx context.Context, a addr.Address) directory.Decision
	// Route is by which transport mail for an address elsewhere goes and to what nexthop,
	// for the agents without one why; nil tells nothing.
	Route func(ctx context.Context, a addr.Address) (transport, nexthop string)
	// Reload does what SIGHUP does, and names the parameters that wait for a
	// restart.
	Reload func(ctx context.Context) ([]string, error)
	// HasMail says whether mail lies where that of a mailbox would; it is not
	// set without Purge.
	HasMail func(ctx context.Context, m directory.Mailbox) (bool, error)
	// Purge removes all mail of a mailbox.
	Purge func(ctx context.Context, m directory.Mailbox) error
	// Gate decides about tokens; nil is one that counts and delays nobody.
	Gate *gate.Gate
	// Metrics is mounted at /metrics, Panel at /.
	Metrics, Panel http.Handler

	Log   *msglog.Log
	Clock clock.Clock
}

// handlers has a method for each operation.
type handlers struct {
	o    Options
	jobs *jobs.Runner
}
