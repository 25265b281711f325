package run

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/run/metrics"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/service"
	"toastmaster/internal/vfs"
	"toastmaster/mta/pickup"
	"toastmaster/mta/verify"
)

// makeMaildrop makes the folder of pickup, the user's that serves it, before its socket.
func makeMaildrop(c *configs.Config) error {
	if c.Pickup.Directory == "" {
		return nil
	}
	dir := c.Path(c.Pickup.Directory)
	roles, err := rights.RolesOf(c)
	switch {
	case err != nil:
		return err
	case roles != nil && os.Geteuid() == 0:
		mta := roles.User(configs.RoleMTA)
		err = maildrop.Make(dir, mta.UID(), mta.GID())
	default:
		err = rights.AsOwner(c, func() error { return maildrop.Make(dir, os.Geteuid(), os.Getegid()) })
	}
	if err != nil {
		return c.Mistake("pickup.directory", err)
	}
	return nil
}

// openPickup makes what takes the mail of this host; nil without pickup.directory.
func openPickup(i *Instance) (service.Service, error) {
	c := i.config
	socket := c.Pickup.Socket()
	if len(socket) == 0 {
		return nil, nil
	}
	if err := makeMaildrop(c); err != nil {
		return nil, err
	}
	l, err := listen(i, socket[0])
	if err != nil {
		return nil, err
	}
	q := theQueue(i)
	s, err := pickup.Open(context.Background(), pickup.Options{
		Params: c.Pickup, Hostname: c.Main.Hostname, Dir: c.Path(c.Pickup.Directory), FS: vfs.OS{}, Lifetime: c.Qmgr.QueueLifetime, MaximalBackoff: c.Qmgr.MaximalBackoffTime, MaxMessage: c.SMTPD.MessageSizeLimit,
		Listener: l, Tables: i.tables, Submit: i.present, Reporter: i.present, Spool: i.queue.Spool(), NewID: i.queue.NewID,
		Has: i.hasQueued, Room: i.queue.Room, Verify: i.verdict, Mailq: mailqHandler(q), Flush: flushHandler(q), Log: i.log, Clock: i.clock,
	})
	if err != nil {
		return nil, err
	}
	i.onRenew(func(*configs.Config) { s.Renew(i.present.get().submitters) })
	return s, metrics.Register(i.metrics, i.log, metrics.Pickup(s)...)
}

// hasQueued says whether the queue has a message.
func (i *Instance) hasQueued(_ context.Context, id envelope.QueueID) (bool, error) {
	return i.queue.Has(id)
}

// verdict is what `sendmail -bv` hears of an address.
func (i *Instance) verdict(ctx context.Context, a addr.Address) pickup.Verdict {
	switch answer := i.verify.Verify(ctx, a, netip.Addr{}); answer.State {
	case verify.Deliverable:
		return pickup.Verdict{Text: "deliverable: " + answer.Text}
	case verify.Undeliverable:
		return pickup.Verdict{Err: dsn.New(dsn.BadDestMailbox, answer.Text)}
	default:
		return pickup.Verdict{Err: dsn.Wrap(dsn.NoAnswer, "It is not known yet: ask again later", errors.New(answer.Text))}
	}
}

// pageLimit is how many messages a page of the queue has at most, as the API's.
const pageLimit = 1000

// mailqHandler lists the queue as the API does. Files that belong to no message are for who runs the service.
func mailqHandler(q api.Queue) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/remains") {
			answerJSON(w, model.QueueRemains{Items: []model.QueueFiles{}}, nil)
			return
		}
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit < 1 || limit > pageLimit {
			limit = pageLimit
		}
		items, err := q.List(r.Context(), model.QueueFilter{}, r.URL.Query().Get("after"), limit+1)
		page := model.Page[model.QueuedMessage]{Items: items}
		if len(items) > limit {
			page.Items, page.Next = items[:limit], items[limit-1].ID
		}
		if page.Items == nil {
			page.Items = []model.QueuedMessage{}
		}
		for n := range page.Items {
			page.Items[n].Files = nil // paths are for who runs the service
		}
		answerJSON(w, page, err)
	})
}

// flushHandler has the queue tried again as the API does: all, one message, or those of a destination.
func flushHandler(q api.Queue) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		n, err := q.Flush(r.Context(), model.QueueFilter{ID: query.Get("id"), Site: query.Get("site")})
		answerJSON(w, model.FlushResult{Flushed: n}, err)
	})
}

func answerJSON(w http.ResponseWriter, v any, err error) {
	if err != nil {
		kind := model.KindOf(err)
		typeURI, status := kind.Problem()
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		v = map[string]any{"type": typeURI, "status": status, "title": http.StatusText(status), "detail": err.Error()}
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	_ = json.NewEncoder(w).Encode(v) // the client hears nothing more then
}
