package transfer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

// ExportOptions say what is written, and where.
type ExportOptions struct {
	Client  *client.Client
	Address string
	// To is a folder, or a file; "-" is Out.
	To   string
	Out  io.Writer
	Form Form
	// Folder, if not "", is the only one, Since the earliest date.
	Folder   string
	Since    time.Time
	Progress Progress
}

// target is what an export is written to.
type target interface {
	// folder begins a folder.
	folder(f model.MailFolder) error
	// has says whether a message is there; it is brought up to date then.
	has(m *model.MailMessage) (bool, error)
	put(m *model.MailMessage, size int64, content io.Reader) error
	// commit makes durable what was put, done ends the folder.
	commit() error
	done() error
	// finish makes all durable.
	finish(folders []model.MailFolder) error
	close() error
}

// Export writes the mail of a mailbox. Run again with the same options it goes on, or
// adds what is new; what has left the mailbox meanwhile stays.
func Export(ctx context.Context, o ExportOptions) (r *Result, err error) {
	e := &export{o: o, r: newResult(o.Address), box: mailbox{o.Client, o.Address}}
	folders, err := o.Client.MailFolders(ctx, o.Address)
	if err != nil {
		return e.r, err
	}
	all := folders
	if o.Folder != "" {
		folders = slices.DeleteFunc(slices.Clone(folders), func(f model.MailFolder) bool { return f.Name != o.Folder })
		if len(folders) == 0 {
			return e.r, fmt.Errorf("%s: %w: %s", o.Address, errNoFolder, o.Folder)
		}
	}
	for _, f := range folders {
		e.total += f.Messages
	}
	switch o.Form {
	case Mbox:
		e.to, err = openMboxTarget(&o, folders)
	default:
		e.to, err = openMaildirTarget(&o)
	}
	if err != nil {
		return e.r, err
	}
	defer func() { err = errors.Join(err, e.to.close()) }()
	for _, f := range folders {
		if f.UIDValidity == 0 {
			continue // nothing but a name
		}
		if err := e.folder(ctx, f); err != nil {
			return e.r, err
		}
	}
	return e.r, e.to.finish(all)
}

// export is one under way.
type export struct {
	o           ExportOptions
	r           *Result
	box         mailbox
	to          target
	seen, total int64
}

func (e *export) folder(ctx context.Context, f model.MailFolder) error {
	if err := e.to.folder(f); err != nil {
		return err
	}
	e.r.folder(f.Name)
	for after := uint32(0); ; {
		page, err := e.o.Client.Mail(ctx, e.o.Address, f.Name, after, atOnce)
		if model.KindOf(err) == model.NotFound && err != nil {
			e.r.warn("folder %s was removed meanwhile", f.Name)
			return e.to.commit()
		}
		if err != nil {
			return err
		}
		if page.UIDValidity != f.UIDValidity {
			return fmt.Errorf("folder %s was made anew meanwhile: run this again", f.Name)
		}
		if err := e.page(ctx, f, page.Items); err != nil {
			return err
		}
		if after = page.Next; after == 0 {
			return e.to.done()
		}
	}
}

// page exports the messages of a page that are not there yet.
func (e *export) page(ctx context.Context, f model.MailFolder, items []model.MailMessage) error {
	missing := map[uint32]*model.MailMessage{}
	var uids []uint32
	for i := range items {
		m := &items[i]
		if !e.o.Since.IsZero() && m.Date.Before(e.o.Since) {
			continue
		}
		there, err := e.to.has(m)
		if err != nil {
			return err
		}
		if there {
			e.r.there(f.Name)
			continue
		}
		missing[m.UID] = m
		uids = append(uids, m.UID)
	}
	e.seen += int64(len(items) - len(uids))
	for len(uids) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := e.some(ctx, f, uids, missing)
		if err != nil {
			return err
		}
		uids = uids[n:]
		if err := e.to.commit(); err != nil {
			return err
		}
	}
	return nil
}

// some exports as many as one answer has.
func (e *export) some(ctx context.Context, f model.MailFolder, uids []uint32, missing map[uint32]*model.MailMessage) (int, error) {
	in, err := e.o.Client.ExportMail(ctx, e.o.Address, model.MailSelection{Folder: f.Name, UIDValidity: f.UIDValidity, UIDs: uids})
	if err != nil {
		return 0, err
	}
	defer in.Close()
	r := tar.NewReader(in)
	for {
		head, err := r.Next()
		if err != nil {
			return 0, fmt.Errorf("the answer of the server was cut off: %w", errors.Join(err, ctx.Err()))
		}
		if head.Name == model.ExportEnd {
			text, err := io.ReadAll(io.LimitReader(r, 32))
			if err != nil {
				return 0, err
			}
			n, err := strconv.Atoi(string(text))
			if err != nil || n < 1 || n > len(uids) {
				return 0, fmt.Errorf("the server's answer is not understood: %q of %d", text, len(uids))
			}
			return n, nil
		}
		uid, err := strconv.ParseUint(head.Name, 10, 32)
		m := missing[uint32(uid)]
		if err != nil || m == nil {
			return 0, fmt.Errorf("the server's answer is not understood: %q", head.Name)
		}
		e.seen++
		if why := head.PAXRecords[model.MailError]; why != "" {
			e.r.fail(fmt.Sprintf("folder %s, UID %d", f.Name, uid), why)
			continue
		}
		if err := e.to.put(m, head.Size, r); err != nil {
			return 0, err
		}
		e.r.done(f.Name, head.Size)
		e.o.Progress(int(e.seen), e.r.Bytes, e.seen, e.total)
	}
}
