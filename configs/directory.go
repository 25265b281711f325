package configs

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Directory is the section [directory]: where the hosted data is and how long
// an answer may be remembered.
type Directory struct {
	Type             string
	Path             string
	URL              string
	ReaderURL        string
	PasswordFile     string
	Timeout          time.Duration
	Readers          int
	BusyTimeout      time.Duration
	CacheEntries     int
	CacheTTL         time.Duration
	CacheNegativeTTL time.Duration
}

// DirectoryTypes are the kinds of directory that there are.
func DirectoryTypes() []string { return []string{"sqlite", "postgres"} }

func (c *Directory) params() []Param {
	return []Param{
		Choice("directory.type", &c.Type, "sqlite", DirectoryTypes(),
			"What answers whether a domain, a recipient or an account exists, and what the admin API writes: the SQLite database of directory.path, or the PostgreSQL database of directory.url."),
		String("directory.path", &c.Path, "directory.db", "a file", nil,
			"The SQLite database of domains, mailboxes and aliases.").Also("virtual_mailbox_domains", "virtual_mailbox_maps", "virtual_alias_maps", "relocated_maps", "passdb", "userdb", "alias_maps"),
		databaseURL("directory.url", &c.URL,
			"The PostgreSQL database of domains, mailboxes and aliases, as libpq writes it: postgres://user@host:port/name?sslmode=verify-full, with several hosts where one takes over from another, or postgres:///name?host=/run/postgresql for a socket. It never has a password: see directory.password_file."),
		databaseURL("directory.reader_url", &c.ReaderURL,
			"The same database as a user that may only read the views, for what mail asks. Empty: as directory.url."),
		String("directory.password_file", &c.PasswordFile, "", "a file, or empty", nil,
			"Passwords for the users of directory.url and directory.reader_url, as libpq's .pgpass: lines host:port:database:user:password, in which a * is any. It must be its owner's alone (mode 0600), as libpq wants it, or else it is not read. Empty: the environment says it (PGPASSFILE, PGPASSWORD), or the server asks for none."),
		Duration("directory.timeout", &c.Timeout, 5*time.Second, 100*time.Millisecond, time.Minute,
			"How long PostgreSQL may take for a connection and for each answer to mail. After that mail is answered with a temporary failure."),
		Int("directory.readers", &c.Readers, 4, 1, 64,
			"Connections that read the database at the same time. Each costs up to 2 MiB of memory with SQLite."),
		Duration("directory.busy_timeout", &c.BusyTimeout, 5*time.Second, 0, time.Minute,
			"How long to wait for another process that has the database, or a row of it, locked. After that mail is answered with a temporary failure."),
		Int("directory.cache_entries", &c.CacheEntries, 20000, 0, 10000000,
			"Answers remembered for each kind of question, found and not found apart. 0 remembers nothing.").Also("auth_cache_size"),
		Duration("directory.cache_ttl", &c.CacheTTL, time.Minute, 0, 24*time.Hour,
			"How long a found answer may be used. A change made through this instance's admin API is seen at once; one by another process after this time.").Also("auth_cache_ttl"),
		Duration("directory.cache_negative_ttl", &c.CacheNegativeTTL, 10*time.Second, 0, 24*time.Hour,
			"The same for the answer that there is no such domain, recipient or account.").Also("auth_cache_negative_ttl"),
	}
}

// databaseURL is where a server of a database is, without a password. What is wrong is
// told without the text, which may have one.
func databaseURL(name string, field *string, text string) Param {
	const allowed = "postgres://user@host:port/name, or empty"
	return newParam(name, "text", allowed, text, field, "", func(v any) (string, error) {
		s, ok := v.(string)
		if !ok {
			return "", notAllowed(v, allowed)
		}
		if s == "" {
			return "", nil
		}
		u, err := url.Parse(s)
		switch {
		case err != nil:
			var inURL *url.Error
			if errors.As(err, &inURL) {
				err = inURL.Err
			}
			return "", fmt.Errorf("no URL: %w (allowed: %s)", err, allowed)
		case u.Scheme != "postgres" && u.Scheme != "postgresql":
			return "", fmt.Errorf("the URL begins with %q (allowed: %s)", u.Scheme+":", allowed)
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			return "", fmt.Errorf("no URL: what follows the ? cannot be read (allowed: %s)", allowed)
		}
		if _, inUser := u.User.Password(); inUser || query.Has("password") || query.Has("passfile") {
			return "", errors.New("there is a password in it: put it into directory.password_file")
		}
		return s, nil
	}, strconv.Quote)
}
