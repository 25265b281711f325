package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/directory/password"
)

// mailboxChunk is fromChunk for mailboxes, whose passwords take time: enough that
// the transaction's sync is shared by many, few enough that the bar moves.
const mailboxChunk = 500

// bulkError is a line that could not be added.
type bulkError struct {
	Line    int    `json:"line"`
	Address string `json:"address"`
	Error   string `json:"error"`
}

// bulkReport is the outcome of an addition from a file.
type bulkReport struct {
	Added  int         `json:"added"`
	Exists int         `json:"exists"`
	Failed int         `json:"failed"`
	Errors []bulkError `json:"errors"`
}

// mailboxesFrom adds the mailboxes of a file. settings are those of the options, for
// all that say nothing else; passwords is one of passwordsAuto and the others.
func mailboxesFrom(ctx context.Context, f *adminFlags, o fromFlags, settings model.NewMailbox, passwords string) error {
	return addFrom(ctx, f, o, fromKind[model.NewMailbox]{
		one: "mailbox", many: "mailboxes", chunk: mailboxChunk, send: (*client.Client).AddMailboxes,
		each: func(in io.Reader, add func(fromEntry[model.NewMailbox]) error) error {
			return eachMailbox(in, passwords, func(e fromEntry[model.NewMailbox]) error {
				e.thing.KeepMail, e.thing.Home = settings.KeepMail, settings.Home
				e.thing.Enabled, e.thing.QuotaMessages = settings.Enabled, settings.QuotaMessages
				if e.thing.QuotaBytes == nil {
					e.thing.QuotaBytes = settings.QuotaBytes
				}
				return add(e)
			})
		},
	})
}

// openBulk opens the file; size is 0 when it is not known.
func openBulk(env *Environment, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(env.Stdin), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// eachMailbox calls f with the mailbox of each line.
func eachMailbox(in io.Reader, passwords string, f func(fromEntry[model.NewMailbox]) error) error {
	r := csv.NewReader(in)
	r.FieldsPerRecord = -1
	r.Comment = '#'
	r.ReuseRecord = true
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		e := fromEntry[model.NewMailbox]{}
		var syntax *csv.ParseError
		switch {
		case errors.As(err, &syntax):
			e.line, e.err = syntax.StartLine, syntax.Err
		case err != nil:
			return err
		default:
			e.line, _ = r.FieldPos(0)
			e.what = record[0]
			e.thing, e.err = bulkMailbox(record, passwords)
		}
		e.offset = r.InputOffset()
		if err := f(e); err != nil {
			return err
		}
	}
}

// skipBOM takes away the mark that some spreadsheets begin UTF-8 with: no eye
// sees it, and it would become a part of the first address.
func skipBOM(in io.Reader) (io.Reader, error) {
	const bom = "\ufeff"
	r := bufio.NewReader(in)
	begin, err := r.Peek(len(bom))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(begin) == bom {
		if _, err := r.Discard(len(bom)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// What the passwords of a file are. With auto each says by its beginning whether
// it is a hash, and what only looks like one is refused.
const (
	passwordsAuto  = "auto"
	passwordsPlain = "plain"
	passwordsHash  = "hash"
)

// isHash says what a field is.
func isHash(secret, passwords string) (bool, error) {
	switch passwords {
	case passwordsPlain:
		return false, nil
	case passwordsHash:
		hash, err := password.Recognise(secret)
		if err == nil && !hash {
			err = errors.New("it begins with no {SCHEME} and no $method$, so it is no hash")
		}
		return true, err
	}
	hash, err := password.Recognise(secret)
	if err != nil {
		err = fmt.Errorf("%w; --passwords plain takes it for the password itself", err)
	}
	return hash, err
}

// bulkMailbox reads "address,password[,quota]".
func bulkMailbox(record []string, passwords string) (model.NewMailbox, error) {
	if len(record) < 2 || len(record) > 3 {
		return model.NewMailbox{}, fmt.Errorf("%s instead of address,password[,quota]", counted(len(record), "field", "fields"))
	}
	box := model.NewMailbox{Address: strings.Clone(strings.TrimSpace(record[0]))}
	secret := strings.Clone(record[1])
	hash, err := isHash(secret, passwords)
	if err != nil {
		return box, fmt.Errorf("password: %w", err)
	}
	if hash {
		box.PasswordHash = &secret
	} else {
		box.Password = &secret
	}
	if len(record) == 3 && strings.TrimSpace(record[2]) != "" {
		n, err := configs.ParseSize(record[2])
		if err != nil {
			return box, err
		}
		box.QuotaBytes = &n
	}
	return box, nil
}
