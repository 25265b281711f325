package initial

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// passwordFile is what directory.password_file is, when --database had a password.
const passwordFile = "pgpass"

// target is what --database says.
type target struct {
	// path is that of SQLite's file, "" for a server; url is without the password.
	path, url string
	// pgpass is the line of directory.password_file, "" for none.
	pgpass string
}

// databaseOf reads --database. An error never has the text: it may have a password.
func databaseOf(o Options) (target, error) {
	const wanted = "sqlite:PATH or postgres://user@host:port/name is wanted"
	if o.Database == "" {
		return target{}, nil
	}
	if path, ok := strings.CutPrefix(o.Database, "sqlite:"); ok {
		if path == "" {
			return target{}, errors.New("sqlite: without a path")
		}
		return target{path: path}, nil
	}
	u, err := url.Parse(o.Database)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return target{}, errors.New(wanted)
	}
	if u.Query().Has("password") {
		return target{}, errors.New("a password stands before the host: postgres://user:password@host/name")
	}
	out := target{}
	if word, has := u.User.Password(); has {
		host, port := cmp.Or(u.Hostname(), "*"), cmp.Or(u.Port(), "*")
		if strings.Contains(u.Host, ",") { // several
			host, port = "*", "*"
		}
		fields := []string{host, port, cmp.Or(strings.TrimPrefix(u.Path, "/"), "*"), u.User.Username(), word}
		if strings.ContainsAny(word, "\r\n\x00") {
			return target{}, errors.New("a password with a line's end has no place in a file of passwords")
		}
		for i, f := range fields {
			if f == "*" {
				continue
			}
			fields[i] = strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(f)
		}
		out.pgpass = strings.Join(fields, ":") + "\n"
		u.User = url.User(u.User.Username())
	}
	out.url = u.String()
	return out, nil
}

// directoryRows is the section [directory], empty for the default.
func directoryRows(o Options) (rows [][2]string) {
	t, err := databaseOf(o)
	switch {
	case err != nil: // Check has said so
	case t.path != "":
		rows = append(rows, [2]string{"path", strconv.Quote(t.path)})
	case t.url != "":
		rows = append(rows, [2]string{"type", `"postgres"`}, [2]string{"url", strconv.Quote(t.url)})
		if t.pgpass != "" {
			rows = append(rows, [2]string{"password_file", strconv.Quote(passwordFile)})
		}
	}
	return rows
}

// keepPassword writes the password of --database. The same file may be there, of an init
// that failed.
func keepPassword(o Options) error {
	t, err := databaseOf(o)
	if err != nil || t.pgpass == "" {
		return err
	}
	file := filepath.Join(o.Dir, passwordFile)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		if there, readErr := os.ReadFile(file); readErr == nil && string(there) == t.pgpass {
			return nil
		}
		return fmt.Errorf("%s is there and says something else: move it away", file)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(t.pgpass)
	return errors.Join(err, f.Close())
}
