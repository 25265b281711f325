package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"toastmaster/admin/client"
	"toastmaster/internal/printable"
)

// adminFlags are the flags of every command that asks the admin API.
type adminFlags struct {
	env  *Environment
	url  string
	ca   string
	json bool
}

// adminGroup makes a command that only has subcommands.
func adminGroup(env *Environment, use, short string) (*cobra.Command, *adminFlags) {
	f := &adminFlags{env: env}
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&f.url, "api", "",
		"ask the API at this `URL` with the token in TOASTMASTER_TOKEN (default: this instance's unix socket)")
	cmd.PersistentFlags().StringVar(&f.ca, "ca", "",
		"trust the certificates in this PEM `FILE` instead of the system's; needs --api")
	cmd.PersistentFlags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd, f
}

// client connects to the instance of the configuration, or to --api.
func (f *adminFlags) client() (*client.Client, error) {
	if f.env.Socket != "" {
		return client.NewUnix(f.env.Socket), nil
	}
	if f.url == "" {
		if f.ca != "" {
			return nil, usageError("--ca needs --api")
		}
		c, err := f.env.Config()
		if err != nil {
			return nil, err
		}
		return client.NewUnix(c.Path(c.Admin.Socket)), nil
	}
	token := f.env.Getenv("TOASTMASTER_TOKEN")
	if token == "" {
		return nil, usageError("--api needs a token in the environment variable TOASTMASTER_TOKEN")
	}
	trust, err := f.trust()
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{URL: f.url, Token: token, TLS: trust})
	if err != nil {
		return nil, usageError("--api: %w", err)
	}
	return c, nil
}

// trust is the file of --ca; nil trusts the system's certificates.
func (f *adminFlags) trust() (*tls.Config, error) {
	if f.ca == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, usageError("--ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usageError("--ca %s: no certificate in PEM form", f.ca)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// withClient runs f with a client and closes it.
func (f *adminFlags) withClient(do func(*client.Client) error) error {
	c, err := f.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// printOne prints a thing as JSON, or as one "name  value" a line.
func (f *adminFlags) printOne(v any, rows [][2]string) error {
	if f.json {
		return printJSON(f.env.Stdout, v)
	}
	w := newTable(f.env.Stdout)
	for _, r := range rows {
		writeRow(w, r[0], r[1])
	}
	return w.Flush()
}

// done confirms a change: the thing as JSON, or one line.
func (f *adminFlags) done(v any, format string, args ...any) error {
	if f.json {
		return printJSON(f.env.Stdout, v)
	}
	_, err := fmt.Fprintf(f.env.Stdout, format+"\n", args...)
	return err
}

// warn says what was done, but not as somebody may think; with --json it is in
// the answer.
func (f *adminFlags) warn(warnings []string) {
	if f.json {
		return
	}
	for _, w := range warnings {
		fmt.Fprintln(f.env.Stderr, "warning:", printable.UTF8(w))
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 8, 2, ' ', 0) }

// writeRow writes a row of a table. What stands in it came from anywhere: no cell
// moves the cursor, the columns or the lines of who reads it.
func writeRow(w io.Writer, cells ...string) {
	for i, c := range cells {
		cells[i] = printable.UTF8(c)
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

// listing prints the entries of a listing one by one, so that a long one costs
// no memory: as a JSON array, or as an aligned table with a head.
type listing struct {
	out   io.Writer
	json  bool
	count int
	table *tabwriter.Writer
}

func (f *adminFlags) newListing(columns ...string) *listing {
	l := &listing{out: f.env.Stdout, json: f.json}
	if !f.json {
		l.table = newTable(f.env.Stdout)
		fmt.Fprintln(l.table, strings.Join(columns, "\t"))
	}
	return l
}

// tableBlock is after how many rows the table is written: columns are aligned
// within a block.
const tableBlock = 1000

func (l *listing) add(v any, columns ...string) error {
	l.count++
	if !l.json {
		writeRow(l.table, columns...)
		if l.count%tableBlock == 0 {
			return l.table.Flush()
		}
		return nil
	}
	b, err := json.MarshalIndent(v, "  ", "  ")
	if err != nil {
		return err
	}
	separator := ",\n  "
	if l.count == 1 {
		separator = "[\n  "
	}
	_, err = fmt.Fprintf(l.out, "%s%s", separator, b)
	return err
}

func (l *listing) close() error {
	if !l.json {
		return l.table.Flush()
	}
	text := "\n]\n"
	if l.count == 0 {
		text = "[]\n"
	}
	_, err := io.WriteString(l.out, text)
	return err
}

// isTerminal says that a person is at the other end.
func isTerminal(v any) (*os.File, bool) {
	f, ok := v.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// counted is a number with its noun: "1 message", "2 messages".
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func messages(n int) string { return counted(n, "message", "messages") }

func mailboxes(n int) string { return counted(n, "mailbox", "mailboxes") }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func timeText(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
