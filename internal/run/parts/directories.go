package parts

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"

	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/internal/clock"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
)

// directoryRow is one kind of directory, by the name that directory.type calls it. A new
// one is a row here, and its name one in configs.DirectoryTypes.
type directoryRow struct {
	name string
	// answers opens the side that mail asks; the caller calls close at the end. What is not
	// there is an answer, when somebody asks, and no error here.
	answers func(*configs.Config) (b directory.Backend, close func() error, err error)
	// database is what the administration writes. A directory that only answers has sqlite()
	// beside it, for tokens, audit, jobs and last log-ins.
	database
}

// database is one kind of database of an instance.
type database struct {
	// param is the parameter that says where it lies, place that in a sentence.
	param    string
	location func(*configs.Config) string
	// inspect and create are those of the part of the instance.
	inspect func(context.Context, *configs.Config) (identity.Found, error)
	create  func(context.Context, *configs.Config, identity.ID) error
	// check is what config check can see of it without opening it.
	check   func(*configs.Config) error
	allowed string
	// temporary says that an error may pass: somebody else has it locked, say.
	temporary func(error) bool
	// open opens the side that is written and listed, with its schema up to date.
	open func(context.Context, *configs.Config) (Hosted, error)
}

// Hosted is the database of an instance as the administration uses it.
type Hosted struct {
	Writer, Reader *dbsql.DB
	Dialect        db.Dialect
	// id is that of the database, "" for none yet.
	id func(context.Context) (identity.ID, error)
}

// Close closes it.
func (h Hosted) Close() error {
	return errors.Join(db.Close(h.Dialect, h.Reader), db.Close(h.Dialect, h.Writer))
}

// Store is what changes the database. changed, which may be nil, is told of a change
// before whoever made it is answered.
func (h Hosted) Store(c *configs.Config, changed func(), log *msglog.Log, clk clock.Clock) (*store.Store, error) {
	return store.New(store.Options{
		Writer: h.Writer, Reader: h.Reader, Dialect: h.Dialect, Hasher: password.NewHasher(c.Auth),
		Changed: changed, Clock: clk, Workers: c.Admin.BulkWorkers,
		Aliases: directory.LimitsOf(c.Cleanup), Delimiters: c.Main.RecipientDelimiter, Log: log,
		Root: configs.Absolute(c.Path(c.Store.Path)), Home: c.Store.Home,
	})
}

// errDatabase is the database that is not the one that was asked for.
var errDatabase = errors.New("the database is another one")

// OpenHosted opens the side of the database that is written, which brings its schema up to
// date, and gives it the id that plan says. It must be that of the plan's instance.
func OpenHosted(ctx context.Context, c *configs.Config, plan Startup) (h Hosted, err error) {
	row, err := directoryOf(c)
	if err != nil {
		return h, err
	}
	if h, err = row.open(ctx, c); err != nil {
		return h, err
	}
	if err = plan.Adopt(ctx, Database); err == nil {
		var id identity.ID
		if id, err = h.id(ctx); err == nil {
			err = identity.Verify(errDatabase, row.location(c), identity.Found{State: identity.Marked, ID: id}, plan.ID)
		}
	}
	if err != nil {
		return h, errors.Join(err, h.Close())
	}
	return h, nil
}

// CheckDirectory is what can be seen of the database without opening it: the error with
// its parameter and what is allowed there.
func CheckDirectory(c *configs.Config) (param, allowed string, err error) {
	row, err := directoryOf(c)
	if err != nil {
		return "directory.type", "", err
	}
	return row.param, row.allowed, row.check(c)
}

func directoryTable() []directoryRow {
	return []directoryRow{
		{name: "sqlite", answers: answersOfSQLite, database: sqlite()},
		{name: "postgres", answers: answersOfPostgres, database: postgres()},
	}
}

// directoryOf is the row that the configuration names.
func directoryOf(c *configs.Config) (directoryRow, error) {
	for _, row := range directoryTable() {
		if row.name == c.Directory.Type {
			return row, nil
		}
	}
	return directoryRow{}, fmt.Errorf("no directory of type %q", c.Directory.Type)
}

// Answers opens the source of the answers that the configuration names.
func Answers(c *configs.Config) (directory.Backend, func() error, error) {
	row, err := directoryOf(c)
	if err != nil {
		return nil, nil, err
	}
	return row.answers(c)
}
