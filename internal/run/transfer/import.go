package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/internal/mbox"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

// ImportOptions say what is brought in.
type ImportOptions struct {
	Client  *client.Client
	Address string
	// From is a Maildir or an mbox.
	From string
	Form Form
	// Quoting is how an mbox writes lines that begin with "From ".
	Quoting mbox.Format
	// Into, if not "", is the folder for what would go to INBOX; other folders go below it.
	Into string
	// OverQuota: the quota does not count. DryRun: nothing is changed.
	OverQuota, DryRun bool
	Progress          Progress
	// Temp is a folder for a message while it is read.
	Temp string
}

// found is a message of a source.
type found struct {
	// what names it for people.
	what   string
	folder string
	flags  []string
	date   time.Time
	// write writes its octets, the same each time.
	write func(io.Writer) error
	// at is how far the source is read with it.
	at int64
}

// source is where messages come from.
type source interface {
	// size is what found.at goes to.
	size() int64
	// folders are those that are there before any message: with their subscription.
	folders() []model.NewMailFolder
	// next is the next message, io.EOF after the last. What cannot be read is told to
	// fail.
	next(ctx context.Context, fail func(what, why string)) (*found, error)
	close() error
}

// ErrFullMailbox is returned when the quota of the mailbox ends an import.
var ErrFullMailbox = errors.New("the mailbox is full")

// batchBytes is how much a request has, unless one message has more.
const batchBytes = 16 << 20

// memory is up to which size a message is held in memory while it is read.
const memory = 1 << 20

// Import brings mail in. Run again it does what is left.
func Import(ctx context.Context, o ImportOptions) (*Result, error) {
	i := &importing{o: o, r: newResult(o.Address), had: map[string]map[string]bool{}, times: map[string]map[[sha256.Size]byte]int{}, made: map[string]string{}}
	i.spool = &spool.Dir{FS: vfs.OS{}, Path: o.Temp, Memory: memory}
	src, err := open(&o)
	if err != nil {
		return i.r, err
	}
	err = i.all(ctx, src)
	return i.r, errors.Join(err, src.close())
}

// open decides what the source is.
func open(o *ImportOptions) (source, error) {
	w, err := walk(o.From)
	if err != nil {
		return nil, err
	}
	defer w.close()
	isDir := w.last().info.IsDir()
	switch {
	case o.Form == Maildir, o.Form == Auto && isDir:
		return openMaildirSource(w)
	case isDir:
		return nil, fmt.Errorf("%s is a folder, and no mbox", o.From)
	}
	return openMboxSource(w, o.Quoting)
}

// importing is one under way.
type importing struct {
	o     ImportOptions
	r     *Result
	spool *spool.Dir
	// had are the IDs that folders have had, times how often a content was in the
	// source, by folder.
	had   map[string]map[string]bool
	times map[string]map[[sha256.Size]byte]int
	// made are the folders as they are called here, by their names in the source.
	made map[string]string

	batch    *batch
	seen     int
	at, size int64
	// limit is the most octets that the server takes for a message; 0 is not known.
	limit int64
}

func (i *importing) all(ctx context.Context, src source) error {
	i.size = src.size()
	for _, f := range src.folders() {
		if _, err := i.target(ctx, f.Name, f.Subscribe); err != nil {
			return err
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := src.next(ctx, i.r.fail)
		if errors.Is(err, io.EOF) {
			return i.send(ctx)
		}
		if err != nil {
			return errors.Join(err, i.send(ctx))
		}
		if err := i.one(ctx, m); err != nil {
			return err
		}
		i.at = m.at
		i.seen++
		i.o.Progress(i.seen, i.at, i.at, i.size)
	}
}

// destination is where a folder of the source goes.
func (i *importing) destination(name string) string {
	switch {
	case i.o.Into == "":
		return name
	case name == maildir.Inbox:
		return i.o.Into
	}
	return i.o.Into + string(separator) + name
}

// plainName is a name for a folder that has one that nobody may make.
func plainName(name string) string {
	levels := strings.Split(name, string(separator))
	for k, level := range levels {
		level = strings.Map(func(c rune) rune {
			if c < ' ' || c == '.' || c == 0x7f || c == '\uFFFD' {
				return '_'
			}
			return c
		}, level)
		if level == "" {
			level = "_"
		}
		levels[k] = level
	}
	return strings.Join(levels, string(separator))
}

// target makes the folder for one of the source, "" when none can be.
func (i *importing) target(ctx context.Context, name string, subscribe bool) (string, error) {
	if to, known := i.made[name]; known {
		return to, nil
	}
	to := i.destination(name)
	err := i.make(ctx, to, subscribe)
	if model.KindOf(err) == model.Invalid && err != nil {
		if plain := i.destination(plainName(name)); plain != to {
			if err = i.make(ctx, plain, subscribe); err == nil {
				i.r.warn("folder %s is called %s here", to, plain)
				to = plain
			}
		}
	}
	switch kind := model.KindOf(err); {
	case err == nil:
	case kind == model.Invalid, kind == model.OverLimit:
		i.r.fail("folder "+to, err.Error())
		to = ""
	default:
		return "", err
	}
	i.made[name] = to
	if to == "" || i.had[to] != nil {
		return to, nil
	}
	imported, err := i.o.Client.ImportedMail(ctx, i.o.Address, to)
	if err != nil {
		return "", err
	}
	i.limit = imported.MessageLimit
	had := make(map[string]bool, len(imported.IDs))
	for _, id := range imported.IDs {
		had[id] = true
	}
	i.begin(to, had)
	return to, nil
}

// begin notes what a folder has had.
func (i *importing) begin(folder string, had map[string]bool) {
	i.had[folder], i.times[folder] = had, map[[sha256.Size]byte]int{}
	i.r.folder(folder)
}

func (i *importing) make(ctx context.Context, name string, subscribe bool) error {
	if i.o.DryRun {
		_, err := maildir.NewFolderDir(name, separator)
		if err != nil {
			return model.Fail(model.Invalid, "no folder can have this name")
		}
		return nil
	}
	return i.o.Client.MakeMailFolder(ctx, i.o.Address, model.NewMailFolder{Name: name, Subscribe: subscribe})
}

// one takes a message, unless its folder has had it.
func (i *importing) one(ctx context.Context, m *found) (err error) {
	folder, err := i.target(ctx, m.folder, true)
	if err != nil {
		return err
	}
	if folder == "" {
		i.r.fail(m.what, "its folder cannot be made")
		return nil
	}
	b := i.spool.New()
	defer func() { err = errors.Join(err, b.Close()) }()
	sum := sha256.New()
	if err := m.write(&reading{ctx: ctx, to: io.MultiWriter(b, sum), limit: i.limit}); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if spool.IsFull(err) {
			return fmt.Errorf("%s: %w", i.o.Temp, err)
		}
		i.r.fail(m.what, err.Error())
		return nil
	}
	if b.Size() == 0 {
		i.r.fail(m.what, "it is empty")
		return nil
	}
	key := [sha256.Size]byte(sum.Sum(nil))
	i.times[folder][key]++
	id := ID(key, i.times[folder][key])
	if i.had[folder][id] {
		i.r.there(folder)
		return nil
	}
	flags, left := cleanFlags(m.flags)
	if left > 0 {
		i.r.warn("%s: %d of its flags and keywords are left out: it has more than %d, or than %d KiB of them", m.what, left, maxFlags, maxFlagText>>10)
	}
	m.flags = flags
	flagText := int64(len(strings.Join(flags, " ")))
	if i.o.DryRun {
		i.r.done(folder, b.Size())
		return nil
	}
	if i.batch != nil && (i.batch.folder != folder || len(i.batch.messages) >= atOnce || i.batch.size+b.Size()+flagText > batchBytes) {
		if err := i.send(ctx); err != nil {
			return err
		}
	}
	if i.batch == nil {
		i.batch = newBatch(folder, i.spool)
	}
	return i.batch.add(id, m, b)
}

// reading is where a message is read to, until its command is ended or it is larger than the
// server takes.
type reading struct {
	ctx   context.Context
	to    io.Writer
	n     int64
	limit int64 // 0 is none
}

func (r *reading) Write(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.n += int64(len(p)); r.limit > 0 && r.n > r.limit {
		return 0, fmt.Errorf("it is larger than %d octets (admin.import_message_limit)", r.limit)
	}
	return r.to.Write(p)
}

// batch is the archive of one request.
type batch struct {
	folder   string
	archive  *spool.Buffer
	w        *tar.Writer
	size     int64
	messages []batched
}

type batched struct {
	what string
	size int64
}

func newBatch(folder string, dir *spool.Dir) *batch {
	b := &batch{folder: folder, archive: dir.New()}
	b.w = tar.NewWriter(b.archive)
	return b
}

func (b *batch) add(id string, m *found, content *spool.Buffer) error {
	head := &tar.Header{Name: id, Mode: 0o600, Size: content.Size(), Format: tar.FormatPAX, PAXRecords: map[string]string{}}
	if !m.date.IsZero() {
		_, zone := m.date.Zone()
		head.ModTime = m.date
		head.PAXRecords[model.MailZone] = strconv.Itoa(zone / 60)
	}
	if len(m.flags) > 0 {
		head.PAXRecords[model.MailFlags] = strings.Join(m.flags, " ")
	}
	err := b.w.WriteHeader(head)
	if err == nil {
		_, err = io.Copy(b.w, io.NewSectionReader(content, 0, content.Size()))
	}
	b.size += content.Size() + int64(len(head.PAXRecords[model.MailFlags]))
	b.messages = append(b.messages, batched{m.what, content.Size()})
	return err
}

// maxFlags and maxFlagText bound the flags of a message, which an archive/tar reader
// takes in no record of more than 1 MiB. They are no parameters: nobody sets so many.
const (
	maxFlags    = 1000
	maxFlagText = 256 << 10
)

// cleanFlags are those that can be stored, each once, as far as they are within the
// bounds; left counts the others of them.
func cleanFlags(flags []string) (out []string, left int) {
	known := map[string]bool{}
	size := 0
	for _, f := range flags {
		lower := strings.ToLower(f)
		system := strings.HasPrefix(f, `\`) && letterOf(f) != 0
		if !system && !maildir.ValidKeyword(f) || known[lower] {
			continue
		}
		known[lower] = true
		if len(out) >= maxFlags || size+len(f)+1 > maxFlagText {
			left++
			continue
		}
		out = append(out, f)
		size += len(f) + 1
	}
	return out, left
}

// send makes the request.
func (i *importing) send(ctx context.Context) (err error) {
	b := i.batch
	if b == nil {
		return nil
	}
	i.batch = nil
	defer func() { err = errors.Join(err, b.archive.Close()) }()
	if err := b.w.Close(); err != nil {
		return err
	}
	var body io.Reader = io.NewSectionReader(b.archive, 0, b.archive.Size())
	if text, ok := b.archive.Bytes(); ok {
		body = bytes.NewReader(text)
	}
	out, err := i.o.Client.ImportMail(ctx, i.o.Address, b.folder, i.o.OverQuota, body, b.archive.Size())
	if err != nil {
		return err
	}
	if len(out.Results) > len(b.messages) || len(out.Results) < len(b.messages) && out.Stopped == "" {
		return fmt.Errorf("the server's answer is not understood: %d results for %d messages", len(out.Results), len(b.messages))
	}
	for k, result := range out.Results {
		m := b.messages[k]
		switch {
		case result.Error != "":
			i.r.fail(m.what, result.Error)
		case result.There:
			i.r.there(b.folder)
		default:
			i.r.done(b.folder, m.size)
		}
	}
	switch out.Stopped {
	case "":
		return nil
	case model.StoppedByQuota:
		return fmt.Errorf("%w: give %s a larger quota, or import with --over-quota", ErrFullMailbox, i.o.Address)
	}
	return errors.New("the disk of the mail store is full (store.min_free)")
}
