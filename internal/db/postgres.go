package db

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

// Postgres is the Dialect of PostgreSQL, from version 12 on (lib/pq). Options.Source is
// what libpq takes: a URL or a line of words "host=... dbname=...", with several hosts
// where there are several; what it leaves out comes from the environment (PGPASSWORD,
// PGPASSFILE and so on).
type Postgres struct{}

var _ Dialect = Postgres{}

// writersLock is the key of the advisory lock that writers take. Any number would do
// that no other program takes in the same database.
const writersLock = 0x746f617374 // "toast"

// Name is "postgres".
func (Postgres) Name() string { return "postgres" }

// Open implements Dialect. It connects to nothing: the first use does.
func (Postgres) Open(_ context.Context, o Options) (*sql.DB, error) {
	c, err := pq.NewConfig(o.Source)
	if err != nil {
		var inURL *url.Error // it has the whole, and so the password
		if errors.As(err, &inURL) {
			err = inURL.Err
		}
		return nil, fmt.Errorf("database %s: %w", Redacted(o.Source), err)
	}
	if c.ApplicationName == "" {
		c.ApplicationName = "toastmaster"
	}
	if o.PasswordFile != "" {
		c.Passfile = o.PasswordFile
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = o.Timeout
	}
	c.Runtime = maps.Clone(c.Runtime)
	if c.Runtime == nil {
		c.Runtime = map[string]string{}
	}
	c.Runtime["lock_timeout"] = strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10)
	if o.Timeout > 0 {
		c.Runtime["statement_timeout"] = strconv.FormatInt(o.Timeout.Milliseconds(), 10)
	}
	switch {
	case !o.Write:
		c.Runtime["default_transaction_read_only"] = "on"
	case c.TargetSessionAttrs == "":
		// Of several hosts, the one that takes changes: after a fail-over another one.
		c.TargetSessionAttrs = pq.TargetSessionAttrsReadWrite
	}
	connector, err := pq.NewConnectorConfig(c)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", Redacted(o.Source), err)
	}
	connector.Dialer(boundedDialer{timeout: o.Timeout})
	if o.Write {
		o.Connections = 1
	}
	db := sql.OpenDB(&sameDatabase{Connector: connector, identity: o.Identity, name: Redacted(o.Source)})
	db.SetMaxOpenConns(o.Connections)
	db.SetMaxIdleConns(o.Connections)
	return db, nil
}

// Redacted is a source without its password, for people and the log.
func Redacted(source string) string {
	c, err := pq.NewConfig(source)
	if err != nil {
		return "postgres" // it may have a password anywhere
	}
	return "postgres://" + c.User + "@" + net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
}

// Classify implements Dialect by the classes of SQLSTATE (appendix A of PostgreSQL's
// manual). What is no answer of the server is a connection that broke or was never
// made; only what TLS says of the server's name and certificate needs an operator.
func (Postgres) Classify(err error) Class {
	if errors.Is(err, sql.ErrNoRows) {
		return NoRows
	}
	if errors.Is(err, ErrLost) {
		return Lost
	}
	if e := pq.As(err); e != nil {
		return classOfState(string(e.Code))
	}
	var untrusted *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	if errors.As(err, &untrusted) || errors.As(err, &unknown) || errors.As(err, &name) || errors.Is(err, pq.ErrSSLNotSupported) {
		return Broken
	}
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Other // the caller's own
	case errors.As(err, &network), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Busy
	}
	return Other
}

func classOfState(code string) Class {
	switch code {
	case "23505": // unique_violation
		return Duplicate
	case "22021", "22P05": // character_not_in_repertoire, untranslatable_character
		return Unstorable
	}
	switch code[:2] {
	case "42", // no such table or column, no permission
		"XX",       // damaged
		"28", "3D", // log-in refused, no such database
		"0A": // a plan that is older than the schema
		return Broken
	case "08", "53", "55", "57", "58", // connection, resources, locks, shutdown, disk
		"40", "25": // taken back by the server; a server that only follows another
		return Busy
	}
	return Other
}

// Bind implements Dialect: ?1 is $1.
func (Postgres) Bind(query string) string { return bindDollar(query) }

func bindDollar(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if query[i] == '?' && i+1 < len(query) && '1' <= query[i+1] && query[i+1] <= '9' {
			b.WriteByte('$')
			continue
		}
		b.WriteByte(query[i])
	}
	return b.String()
}

// HasTable implements Dialect, in the schema that names without one are in.
func (Postgres) HasTable(ctx context.Context, on Queryer, name string) (there bool, err error) {
	err = on.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = $1)", name).Scan(&there)
	return there, err
}

// Lock implements Dialect: the lock is the database's, so it holds for the writers of all
// nodes. It goes with the transaction, whatever becomes of the connection.
func (Postgres) Lock(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", writersLock); err != nil {
		rollback := tx.Rollback()
		if errors.Is(rollback, sql.ErrTxDone) || errors.Is(rollback, driver.ErrBadConn) {
			rollback = nil
		}
		return nil, errors.Join(err, rollback)
	}
	return tx, nil
}

// InsertID implements Dialect.
func (Postgres) InsertID(ctx context.Context, prepare Prepare, query string, args ...any) (id int64, err error) {
	s, err := prepare(ctx, query+" RETURNING id")
	if err != nil {
		return 0, err
	}
	err = s.QueryRowContext(ctx, args...).Scan(&id)
	return id, err
}

// Close closes a database. That a connection to a server was broken before is no error: there
// was nothing on it.
func Close(d Dialect, on *sql.DB) error {
	err := on.Close()
	if _, server := d.(Postgres); server && d.Classify(err) == Busy {
		return nil
	}
	return err
}

// sameDatabase makes connections to the database that the first one was to: a server, or
// a name of it, that has another instance's data now is not asked and not changed.
type sameDatabase struct {
	driver.Connector
	identity string // a query, "" for none
	name     string

	mu sync.Mutex
	id string
}

// Connect implements driver.Connector.
func (c *sameDatabase) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil || c.identity == "" {
		return conn, err
	}
	id, err := identityOf(ctx, conn, c.identity)
	if (Postgres{}).Classify(err) == Broken {
		id, err = "", nil // no schema yet; who asks hears it
	}
	if err == nil {
		err = c.judge(id)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (c *sameDatabase) judge(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id == "" {
		c.id = id
	}
	if id != c.id {
		return fmt.Errorf("database %s is %w: it is of the instance %q now, and was of %q; restart to use it", c.name, ErrLost, id, c.id)
	}
	return nil
}

// boundedDialer makes connections on which no answer is waited for without end. A
// server that has halted, or a host that has gone without a word, says nothing to
// a cancelled request either (lib/pq waits for its answer).
type boundedDialer struct{ timeout time.Duration }

// keepAlive finds a host that has gone within half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}

// Dial implements pq.Dialer.
func (d boundedDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d boundedDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d boundedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.timeout, KeepAliveConfig: keepAlive}
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil || d.timeout <= 0 {
		return c, err
	}
	return boundedConn{c, d.timeout}, nil
}

// boundedConn gives each read and each write the same time. The driver reads only
// while it waits for an answer.
type boundedConn struct {
	net.Conn
	timeout time.Duration
}

func (c boundedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c boundedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
