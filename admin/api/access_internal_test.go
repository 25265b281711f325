package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"toastmaster/admin/authz"
	"toastmaster/admin/jobs"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/admin/store/storetest"
	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// TestWhoIsSuperadminOnTheSocket: root and the service's own user, nobody else,
// and nobody who did not come by the socket.
func TestWhoIsSuperadminOnTheSocket(t *testing.T) {
	t.Parallel()
	h := &handlers{}
	stranger := os.Geteuid() + 12345
	for _, c := range []struct {
		peer peer
		want bool
	}{
		{peer{unix: true, uid: 0}, true},
		{peer{unix: true, uid: os.Geteuid()}, true},
		{peer{unix: true, uid: stranger}, false},
		{peer{unix: true, uid: -1}, false},
		{peer{unix: false, uid: 0}, false},
		{peer{unix: false, uid: os.Geteuid(), tls: true}, false},
	} {
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), peerKey{}, c.peer), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.identify(r)
		if (err == nil) != c.want || c.want != (p.Role == authz.Superadmin) || err != nil && model.KindOf(err) != model.Unauthenticated {
			t.Errorf("%+v: %+v, %v", c.peer, p, err)
		}
	}
}

// rightsBench is the API with a store and a queue, to which every caller is who the
// header says: "role scope scope".
type rightsBench struct {
	store   *store.Store
	handler http.Handler
	spec    *huma.OpenAPI
	// path is the database's, options those that the handlers go by.
	path    string
	options *Options
}

func rights(t *testing.T) (*store.Store, http.Handler, *huma.OpenAPI) {
	t.Helper()
	r := newRights(t)
	return r.store, r.handler, r.spec
}

func newRights(t *testing.T) *rightsBench {
	t.Helper()
	c := storetest.Config()
	k := storetest.Open(t, c, nil)
	h := &handlers{o: Options{
		Params: c.Admin, Store: k.Store, Queue: deafQueue{}, Mail: deafMail{}, Sessions: deafSessions{}, Log: msglog.Discard(), Clock: clock.System{},
		Reload: func(context.Context) ([]string, error) { return nil, nil },
		Purge:  func(context.Context, directory.Mailbox) error { return nil },
	}}
	h.jobs = jobs.New(jobs.Options{Store: k.Store, Kinds: h.jobKinds(), Clock: clock.System{}, Log: msglog.Discard()})
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if who := strings.Fields(c.Request().Header.Get("Who")); len(who) > 0 {
				p := authz.Principal{Name: "test", Role: authz.Role(who[0]), Scope: who[1:]}
				c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), principalKey{}, p)))
			}
			return next(c)
		}
	})
	a := humaecho.New(e, huma.DefaultConfig("rights", ""))
	(&Server{h: h}).register(a)
	return &rightsBench{k.Store, e, a.OpenAPI(), k.Database.Source, &h.o}
}

type deafQueue struct{ Queue }

type deafMail struct{ Mail }

type deafSessions struct{ Sessions }

// bodies are what the operations need to be asked at all, about b.test.
var bodies = map[string]string{
	"add-domain": `{"name":"b.test"}`, "set-domain": `{}`, "add-mailbox": `{"address":"x@b.test"}`, "set-mailbox": `{}`,
	"add-alias": `{"address":"x@b.test","targets":["y@b.test"]}`, "set-alias": `{"targets":["y@b.test"]}`,
	"add-relocated": `{"address":"x@b.test","moved_to":"y"}`, "set-relocated": `{"moved_to":"y"}`, "add-token": `{"name":"x"}`,
	"kick-sessions": `{"id":"1"}`, "purge-mailboxes": `{"addresses":["x@b.test"]}`, "act-on-queue": `{"action":"hold","filter":{"Place":"","Sender":"","Recipient":""}}`,
	"export-queue": `{"ids":["1"]}`, "make-mail-folder": `{"name":"x"}`, "export-mail": `{"folder":"x","uid_validity":1,"uids":[1]}`, "bulk-add-mailboxes": `[]`, "bulk-add-aliases": `[]`, "bulk-add-relocated": `[]`, "bulk-add-domains": `[]`,
}

func askAs(t *testing.T, h http.Handler, who, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Who", who)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestEveryRouteAsksForItsRight goes through all operations that there are: each
// is refused to whoever has no right to what it is about.
func TestEveryRouteAsksForItsRight(t *testing.T) {
	t.Parallel()
	_, h, spec := rights(t)
	lists := map[string]bool{"list-domains": true, "list-mailboxes": true, "list-aliases": true, "list-relocated": true}
	n := 0
	for path, item := range spec.Paths {
		path = strings.NewReplacer("{name}", "b.test", "{address}", "x@b.test", "{id}", "1").Replace(path)
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op == nil {
				continue
			}
			n++
			for who, want := range map[string]int{
				"": http.StatusUnauthorized, "domain-admin a.test": http.StatusForbidden, "reseller a.test": http.StatusForbidden,
				"domain-admin": http.StatusForbidden, "reseller  ": http.StatusForbidden, "mailbox-user me@a.test": http.StatusForbidden, "unheard-of b.test x@b.test": http.StatusForbidden,
			} {
				if lists[op.OperationID] && (strings.HasPrefix(who, "domain-admin") || strings.HasPrefix(who, "reseller")) {
					want = http.StatusOK // of what is theirs, see below
				}
				if got := askAs(t, h, who, method, path, bodies[op.OperationID]); got.Code != want {
					t.Errorf("%s as %q: %d %s, want %d", op.OperationID, who, got.Code, got.Body, want)
				}
				if lists[op.OperationID] && who != "" {
					query := "?domain=b.test"
					if op.OperationID == "list-domains" {
						query = "?alias_of=b.test"
					}
					if got := askAs(t, h, who, method, path+query, ""); got.Code != http.StatusForbidden {
						t.Errorf("%s%s as %q: %d %s", op.OperationID, query, who, got.Code, got.Body)
					}
				}
			}
		}
	}
	if n < 45 {
		t.Errorf("only %d operations", n)
	}
}

// TestPathsAreForStaff: who may see what is theirs hears that it cannot be looked at,
// and who runs the host where that lies and what to do. The log has it all.
func TestPathsAreForStaff(t *testing.T) {
	t.Parallel()
	const path, todo = "/srv/secret", "mount its volume"
	for _, c := range []struct{ what, method, path, body string }{
		{"status", "GET", "/mailboxes/x@a.test/status", ""},
		{"purge", "DELETE", "/mailboxes/x@a.test?purge=true", ""},
		{"purge of what was left", "DELETE", "/mailboxes/old@a.test?purge=true", ""},
		{"addition", "POST", "/mailboxes", `{"address":"new@a.test"}`},
		{"no database", "GET", "/mailboxes/x@a.test", ""},
		{"home of another", "POST", "/mailboxes", `{"address":"sub@a.test"}`},
	} {
		r := newRights(t)
		absent := &model.Error{Kind: model.Unavailable, Text: "the mail store is not in its place", Staff: path + " is missing; " + todo}
		r.options.Usage = func(context.Context, directory.Mailbox) (int64, int64, error) { return 0, 0, absent }
		r.options.HasMail = func(context.Context, directory.Mailbox) (bool, error) { return false, absent }
		_, err := r.store.AddDomain(t.Context(), "test", model.NewDomain{Name: "a.test"})
		home := "a.test/x"
		if c.what == "home of another" {
			home, r.options.HasMail = "a.test/sub/in/it", nil
		}
		_, e := r.store.AddMailbox(t.Context(), "test", model.NewMailbox{Address: "x@a.test", MailboxChange: model.MailboxChange{Home: &home}})
		if err = errors.Join(err, e); err != nil {
			t.Fatal(err)
		}
		where, status := path, http.StatusServiceUnavailable
		switch c.what {
		case "no database":
			where = r.path
			if err := os.Remove(r.path); err != nil {
				t.Fatal(err)
			}
		case "home of another":
			where, status = home, http.StatusUnprocessableEntity
		}
		for _, who := range []string{"superadmin", "reseller a.test", "domain-admin a.test"} {
			got := askAs(t, r.handler, who, c.method, c.path, c.body)
			hears := strings.Contains(got.Body.String(), where)
			if got.Code != status || hears != (who == "superadmin") || !strings.Contains(got.Body.String(), "detail") {
				t.Errorf("%s as %s: %d %s", c.what, who, got.Code, got.Body)
			}
		}
	}
}

// TestHomesAreChosenByStaff: in a home that somebody names mail of others may lie.
func TestHomesAreChosenByStaff(t *testing.T) {
	t.Parallel()
	kept, h, _ := rights(t)
	_, err := kept.AddDomain(t.Context(), "test", model.NewDomain{Name: "a.test"})
	_, e := kept.AddMailbox(t.Context(), "test", model.NewMailbox{Address: "x@a.test"})
	if err = errors.Join(err, e); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/mailboxes", `{"address":"new@a.test","home":"b.test/old"}`}, {"PATCH", "/mailboxes/x@a.test", `{"home":"b.test/old"}`},
	} {
		if got := askAs(t, h, "domain-admin a.test", c.method, c.path, c.body); got.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", c.path, got.Code, got.Body)
		}
		if got := askAs(t, h, "superadmin", c.method, c.path, c.body); got.Code >= 300 && c.method == "POST" {
			t.Errorf("%s: %d %s", c.path, got.Code, got.Body)
		}
	}
}

// TestListingsAreOfTheScope: who may see some domains sees those, page by page.
func TestListingsAreOfTheScope(t *testing.T) {
	t.Parallel()
	kept, h, _ := rights(t)
	ctx := t.Context()
	hash, off := "", false
	for _, d := range []string{"a.test", "b.test", "c.test"} {
		_, err := kept.AddDomain(ctx, "test", model.NewDomain{Name: d})
		for _, local := range []string{"one", "two"} {
			_, e := kept.AddMailbox(ctx, "test", model.NewMailbox{Address: local + "@" + d, MailboxChange: model.MailboxChange{PasswordHash: &hash, Enabled: &off}})
			err = errors.Join(err, e)
		}
		_, e := kept.AddAlias(ctx, "test", model.NewAlias{Address: "all@" + d, AliasChange: model.AliasChange{Targets: []string{"far@elsewhere.test"}}})
		_, e2 := kept.AddRelocated(ctx, "test", model.NewRelocated{Address: "gone@" + d, RelocatedChange: model.RelocatedChange{MovedTo: "x"}})
		if err = errors.Join(err, e, e2); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ who, path, want string }{
		{"superadmin", "/domains", "a.test b.test c.test"},
		{"reseller c.test a.test", "/domains", "a.test c.test"},
		{"domain-admin b.test", "/domains", "b.test"},
		{"domain-admin none.test", "/domains", ""},
		{"reseller", "/domains", ""},
		{"superadmin", "/mailboxes", "one@a.test one@b.test one@c.test two@a.test two@b.test two@c.test"},
		{"reseller a.test c.test", "/mailboxes", "one@a.test one@c.test two@a.test two@c.test"},
		{"reseller a.test c.test", "/mailboxes?contains=two", "two@a.test two@c.test"},
		{"reseller a.test c.test", "/mailboxes?enabled=false", "one@a.test one@c.test two@a.test two@c.test"},
		{"reseller a.test c.test", "/mailboxes?enabled=true", ""},
		{"reseller a.test c.test", "/mailboxes?domain=c.test", "one@c.test two@c.test"},
		{"reseller a.test c.test", "/mailboxes?domain=c.test&enabled=false", "one@c.test two@c.test"},
		{"reseller", "/mailboxes", ""},
		{"reseller", "/mailboxes?enabled=false", ""},
		{"domain-admin b.test", "/aliases", "all@b.test"},
		{"domain-admin b.test", "/aliases?target=far@elsewhere.test", "all@b.test"},
		{"superadmin", "/aliases?target=FAR@elsewhere.test&domain=a.test", "all@a.test"},
		{"reseller", "/aliases?target=far@elsewhere.test", ""},
		{"reseller b.test c.test", "/relocated", "gone@b.test gone@c.test"},
	} {
		var got []string
		separator := "?"
		if strings.Contains(c.path, "?") {
			separator = "&"
		}
		after := ""
		for range 10 {
			w := askAs(t, h, c.who, "GET", c.path+separator+"limit=1&after="+after, "")
			var page struct {
				Items []struct{ Name, Address string }
				Next  string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%s as %q: %d %s, %v", c.path, c.who, w.Code, w.Body, err)
			}
			for _, i := range page.Items {
				got = append(got, i.Name+i.Address)
			}
			if after = page.Next; after == "" {
				break
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s as %q: %s, want %s", c.path, c.who, s, c.want)
		}
	}
}

// TestThereIsOneWayToRegister: an operation that is registered past route has no
// right.
func TestThereIsOneWayToRegister(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range []string{"huma.Register(", "huma.Get(", "huma.Post(", "huma.Put(", "huma.Patch(", "huma.Delete(", "huma.AutoRegister("} {
			n += strings.Count(string(text), way)
		}
	}
	if n != 1 {
		t.Errorf("operations are registered in %d places", n)
	}
}
