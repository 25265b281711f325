package api

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/directory"
)

// Mail is the mail of mailboxes, for who moves it in and out. Its errors for a folder
// that is not there, or cannot be, are *model.Error.
type Mail interface {
	Folders(ctx context.Context, m directory.Mailbox) ([]model.MailFolder, error)
	// MakeFolder makes a folder, if it is missing.
	MakeFolder(ctx context.Context, m directory.Mailbox, f model.NewMailFolder) error
	// Messages lists up to limit messages with a UID greater than after.
	Messages(ctx context.Context, m directory.Mailbox, folder string, after uint32, limit int) (model.MailPage, error)
	// Export calls f for each message that is still there, in the order asked for,
	// until f fails.
	Export(ctx context.Context, m directory.Mailbox, s model.MailSelection, f func(MailMessage) error) error
	// Imported are the IDs of all messages that came by Import, also of those that
	// have left, as far as they are remembered.
	Imported(ctx context.Context, m directory.Mailbox, folder string) ([]string, error)
	// Import stores the messages that next gives, until that is io.EOF. All of which a
	// result says that they are stored are on disk when it returns; with an error they are
	// stored, and may not be on disk: the audit has them, the client asks again.
	Import(ctx context.Context, m directory.Mailbox, folder string, overQuota bool, next func() (MailMessage, error)) (model.MailImported, error)
}

// MailMessage is a message on its way in or out.
type MailMessage struct {
	// UID is that of one that goes out, ID of one that comes in.
	UID   uint32
	ID    string
	Flags []string
	Date  time.Time
	Size  int64
	// Content is valid until the next message; one that goes out has Error instead when
	// it cannot be read.
	Content io.Reader
	Error   string
}

// onMailbox is the mailbox of the path.
func (h *handlers) onMailbox(ctx context.Context, in *AddressInput) (directory.Mailbox, error) {
	address, err := in.folded()
	if err != nil {
		return directory.Mailbox{}, err
	}
	m, err := h.o.Store.Mailbox(ctx, address)
	if err != nil {
		return directory.Mailbox{}, err
	}
	return store.Directory(m)
}

// mailFailure is an error of the mail store, of which the caller hears what it can
// mend.
func mailFailure(err error) error {
	var e *model.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return storeFailure(model.Internal, "the mail store failed, see the log", err)
}

func (h *handlers) mailFolders(ctx context.Context, _ caller, in *AddressInput) (*body[model.MailFolders], error) {
	m, err := h.onMailbox(ctx, in)
	if err != nil {
		return nil, err
	}
	folders, err := h.o.Mail.Folders(ctx, m)
	if folders == nil {
		folders = []model.MailFolder{}
	}
	return &body[model.MailFolders]{model.MailFolders{Items: folders}}, mailFailure(err)
}

type makeFolderInput struct {
	AddressInput
	Body model.NewMailFolder
}

func (h *handlers) makeFolder(ctx context.Context, _ caller, in *makeFolderInput) (*nothing, error) {
	m, err := h.onMailbox(ctx, &in.AddressInput)
	if err != nil {
		return nil, err
	}
	return &nothing{}, mailFailure(h.o.Mail.MakeFolder(ctx, m, in.Body))
}

type listMailInput struct {
	AddressInput
	Folder string `query:"folder" default:"INBOX" maxLength:"1000"`
	After  uint32 `query:"after" doc:"Only messages with a greater UID"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000"`
}

func (h *handlers) listMail(ctx context.Context, _ caller, in *listMailInput) (*body[model.MailPage], error) {
	m, err := h.onMailbox(ctx, &in.AddressInput)
	if err != nil {
		return nil, err
	}
	page, err := h.o.Mail.Messages(ctx, m, in.Folder, in.After, h.limit(Paging{Limit: in.Limit}))
	if page.Items == nil {
		page.Items = []model.MailMessage{}
	}
	return &body[model.MailPage]{page}, mailFailure(err)
}

type exportMailInput struct {
	AddressInput
	Body model.MailSelection
}

// noteMail keeps in the audit who moved mail of a mailbox.
func (h *handlers) noteMail(ctx context.Context, by caller, action, address string, what any) {
	// Also where the client has gone meanwhile: it is done.
	if err := h.o.Store.WriteAudit(context.WithoutCancel(ctx), by.name, action, "mailbox", address, nil, what); err != nil {
		h.o.Log.ErrorContext(ctx, "no row in the audit", "actor", by.name, "action", action, "object", "mailbox", "name", address, "cause", err)
	}
}

// movedMail is what the audit keeps.
type movedMail struct {
	Folder   string `json:"folder"`
	Messages int    `json:"messages"`
}

// exportMail answers with messages as a tar archive, each named by its UID. It ends as
// that of exportQueue does, with the number of UIDs that were worked on.
func (h *handlers) exportMail(ctx context.Context, by caller, in *exportMailInput) (*huma.StreamResponse, error) {
	m, err := h.onMailbox(ctx, &in.AddressInput)
	if err != nil {
		return nil, err
	}
	h.noteMail(ctx, by, "export", m.Address.String(), movedMail{in.Body.Folder, len(in.Body.UIDs)})
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/x-tar")
		if err := h.writeMail(ctx, hc.BodyWriter(), m, in.Body); err != nil {
			h.logFailure(ctx, err)
		}
	}}, nil
}

// errFull ends an answer that has enough in it.
var errFull = errors.New("enough")

func (h *handlers) writeMail(ctx context.Context, to io.Writer, m directory.Mailbox, s model.MailSelection) error {
	w := tar.NewWriter(to)
	var size int64
	last := uint32(0)
	err := h.o.Mail.Export(ctx, m, s, func(message MailMessage) error {
		if size > exportBytes {
			return errFull
		}
		size += message.Size
		last = message.UID
		return writeMessage(w, message)
	})
	if err != nil && !errors.Is(err, errFull) {
		return err
	}
	done := len(s.UIDs)
	if errors.Is(err, errFull) {
		for done > 0 && s.UIDs[done-1] != last {
			done--
		}
	}
	text := strconv.Itoa(done)
	if err := w.WriteHeader(&tar.Header{Name: model.ExportEnd, Mode: 0o600, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return errors.Join(err, w.Close())
}

func writeMessage(w *tar.Writer, m MailMessage) error {
	head := &tar.Header{Name: strconv.FormatUint(uint64(m.UID), 10), Mode: 0o600, Size: m.Size, Format: tar.FormatPAX}
	if m.Error != "" {
		head.Size, head.PAXRecords = 0, map[string]string{model.MailError: m.Error}
		return w.WriteHeader(head)
	}
	if err := w.WriteHeader(head); err != nil {
		return err
	}
	n, err := io.Copy(w, m.Content)
	if err == nil && n < m.Size {
		err = fmt.Errorf("message %d became shorter while it was read", m.UID)
	}
	return err
}

type importedInput struct {
	AddressInput
	Folder string `query:"folder" default:"INBOX" maxLength:"1000"`
}

func (h *handlers) importedMail(ctx context.Context, _ caller, in *importedInput) (*body[model.ImportedIDs], error) {
	m, err := h.onMailbox(ctx, &in.AddressInput)
	if err != nil {
		return nil, err
	}
	ids, err := h.o.Mail.Imported(ctx, m, in.Folder)
	if ids == nil {
		ids = []string{}
	}
	return &body[model.ImportedIDs]{model.ImportedIDs{IDs: ids, MessageLimit: h.o.Params.ImportMessageLimit}}, mailFailure(err)
}

type importMailInput struct {
	AddressInput
	Folder    string `query:"folder" default:"INBOX" maxLength:"1000" doc:"A folder that exists"`
	OverQuota bool   `query:"over_quota" doc:"The quota does not count"`

	content io.Reader
}

// Resolve takes the body as a stream.
func (in *importMailInput) Resolve(c huma.Context) []error {
	in.content = c.BodyReader()
	return nil
}

// importPath is read as a stream, each message up to admin.import_message_limit.
const importPath = apiRoot + "/mailboxes/:address/import"

// importMail stores the messages of a tar archive: each entry is one, with its ID as its
// name, the time of the file as INTERNALDATE and model.MailFlags. One whose ID the folder
// has had is passed over.
func (h *handlers) importMail(ctx context.Context, by caller, in *importMailInput) (*body[model.MailImported], error) {
	m, err := h.onMailbox(ctx, &in.AddressInput)
	if err != nil {
		return nil, err
	}
	r := tar.NewReader(in.content)
	n := 0
	out, err := h.o.Mail.Import(ctx, m, in.Folder, in.OverQuota, func() (MailMessage, error) {
		message, err := h.nextMessage(r)
		if err == nil {
			if n++; n > maxExport {
				return MailMessage{}, model.Fail(model.Invalid, fmt.Sprintf("at most %d messages at once", maxExport))
			}
		}
		return message, err
	})
	if out.Results == nil {
		out.Results = []model.MailResult{}
	}
	stored := 0
	for _, result := range out.Results {
		if result.Error == "" && !result.There {
			stored++
		}
	}
	if stored > 0 {
		h.noteMail(ctx, by, "import", m.Address.String(), movedMail{in.Folder, stored})
	}
	return &body[model.MailImported]{out}, mailFailure(err)
}

// archive is what a client sends; that it breaks off is the client's fault.
type archive struct{ io.Reader }

func (a archive) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = &model.Error{Kind: model.Invalid, Text: "the archive cannot be read", Cause: err}
	}
	return n, err
}

// nextMessage reads an entry of the archive; io.EOF after the last.
func (h *handlers) nextMessage(r *tar.Reader) (MailMessage, error) {
	head, err := r.Next()
	if errors.Is(err, io.EOF) {
		return MailMessage{}, io.EOF
	}
	if err != nil {
		return MailMessage{}, &model.Error{Kind: model.Invalid, Text: "the archive cannot be read", Cause: err}
	}
	if head.Typeflag != tar.TypeReg {
		return MailMessage{}, model.Fail(model.Invalid, "the archive has something else than messages")
	}
	m := MailMessage{ID: head.Name, Date: head.ModTime, Size: head.Size, Content: archive{r}, Flags: strings.Fields(head.PAXRecords[model.MailFlags])}
	if zone, err := strconv.Atoi(head.PAXRecords[model.MailZone]); err == nil && zone > -24*60 && zone < 24*60 {
		m.Date = m.Date.In(time.FixedZone("", zone*60))
	}
	if limit := h.o.Params.ImportMessageLimit; m.Size > limit {
		m.Error = fmt.Sprintf("%d octets are more than admin.import_message_limit (%d)", m.Size, limit)
	}
	return m, nil
}
