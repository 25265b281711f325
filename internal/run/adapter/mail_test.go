package adapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openMail is the mail of alice, in a store of its own.
func openMail(t *testing.T) (*Mail, directory.Mailbox) {
	t.Helper()
	c := configs.Default().Store
	c.MinFree = 0
	s, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: t.TempDir(), FS: vfs.OS{}, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "mx.example.test", Store: c,
	})
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	a, err := addr.Parse("alice@example.test")
	must(t, err)
	return NewMail(s), directory.Mailbox{Address: a, Home: "example.test/alice"}
}

// messages gives messages with these IDs, one after the other; the text is the ID.
func messages(ids ...string) func() (api.MailMessage, error) {
	return func() (api.MailMessage, error) {
		if len(ids) == 0 {
			return api.MailMessage{}, io.EOF
		}
		id := ids[0]
		ids = ids[1:]
		text := "Subject: " + id + "\n\n" + id + "\n"
		return api.MailMessage{ID: id, Flags: []string{`\Seen`, "work"}, Date: time.Unix(1700000000, 0), Size: int64(len(text)), Content: strings.NewReader(text)}, nil
	}
}

func (a *Mail) brings(t *testing.T, m directory.Mailbox, folder string, next func() (api.MailMessage, error), want string) {
	t.Helper()
	out, err := a.Import(t.Context(), m, folder, false, next)
	got := out.Stopped
	for _, r := range out.Results {
		switch {
		case r.Error != "":
			got += " " + r.Error
		case r.There:
			got += " there"
		default:
			got += fmt.Sprintf(" %d", r.UID)
		}
	}
	if err != nil {
		got += " " + err.Error()
	}
	if strings.TrimSpace(got) != want {
		t.Errorf("%q, want %q", strings.TrimSpace(got), want)
	}
}

// TestImportOnce: an ID is stored once in a folder, whatever its owner has done with the
// message since.
func TestImportOnce(t *testing.T) {
	t.Parallel()
	a, m := openMail(t)
	must(t, a.MakeFolder(t.Context(), m, model.NewMailFolder{Name: "Other"}))
	must(t, a.MakeFolder(t.Context(), m, model.NewMailFolder{Name: "Other"}))
	a.brings(t, m, "INBOX", messages("A", "B", "C", "A"), "1 2 3 there")
	u, err := a.mail.User(t.Context(), mailstore.AccountOf(m))
	must(t, err)
	defer u.Close()
	v, err := u.Open(t.Context(), "INBOX", false)
	must(t, err)
	_, err = v.SetFlags(t.Context(), []uint32{1}, mailstore.FlagsSet, []imap.Flag{imap.FlagFlagged}, 0)
	must(t, err)
	_, _, err = v.Move(t.Context(), []uint32{2}, "Other")
	must(t, err)
	must(t, v.Close())
	a.brings(t, m, "INBOX", messages("A", "B", "C", "D"), "there there there 4")
	a.brings(t, m, "Other", messages("C"), "2")
	if _, err := a.Import(t.Context(), m, "None", false, messages("C")); model.KindOf(err) != model.NotFound {
		t.Error(err)
	}
	a.brings(t, m, "INBOX", messages(""), "it has no ID")
	a.brings(t, m, "INBOX", func() (api.MailMessage, error) { return api.MailMessage{}, errors.New("cut off") }, "cut off")
	// What was stored before a request fails is told, for the audit.
	a.brings(t, m, "Other", func() func() (api.MailMessage, error) {
		next := messages("X")
		return func() (api.MailMessage, error) {
			if m, err := next(); err == nil {
				return m, nil
			}
			return api.MailMessage{}, model.Fail(model.Invalid, "cut off")
		}
	}(), "3 cut off")
	a.brings(t, m, "Other", messages("no/id"), "its ID is not 1 to 64 letters and digits")
	m.QuotaMessages = 8
	a.brings(t, m, "INBOX", messages("E", "F", "G", "H"), "quota 5 6")
	if out, err := a.Import(t.Context(), m, "INBOX", true, messages("G", "H")); err != nil || out.Stopped != "" || len(out.Results) != 2 {
		t.Errorf("%+v %v", out, err)
	}
	page, err := a.Messages(t.Context(), m, "INBOX", 1, 2)
	if err != nil || len(page.Items) != 2 || page.Items[0].UID != 3 || page.Next != 4 || strings.Join(page.Items[0].Flags, " ") != `\Seen work` || page.Items[0].Date.Unix() != 1700000000 {
		t.Errorf("%+v %v", page, err)
	}
	var texts []string
	s := model.MailSelection{Folder: "INBOX", UIDValidity: page.UIDValidity, UIDs: []uint32{4, 2, 1}}
	err = a.Export(t.Context(), m, s, func(x api.MailMessage) error {
		text, err := io.ReadAll(x.Content)
		texts = append(texts, fmt.Sprintf("%d %s", x.UID, text[len(text)-2:len(text)-1]))
		return err
	})
	if err != nil || strings.Join(texts, ",") != "4 D,1 A" {
		t.Errorf("%q %v", texts, err)
	}
	s.UIDValidity++
	if err := a.Export(t.Context(), m, s, nil); model.KindOf(err) != model.NotFound {
		t.Error(err)
	}
}

// TestTwoImportsAtOnce of the same mail are one, and one that cannot begin ends with its
// request.
func TestTwoImportsAtOnce(t *testing.T) {
	t.Parallel()
	a, m := openMail(t)
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprintf("M%d", i))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := a.Import(t.Context(), m, "INBOX", false, messages(ids...)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if page, err := a.Messages(t.Context(), m, "INBOX", 0, 1000); err != nil || len(page.Items) != len(ids) {
		t.Errorf("%d messages, %v", len(page.Items), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := a.Import(t.Context(), m, "INBOX", false, func() (api.MailMessage, error) {
		cancel()
		_, err := a.Import(ctx, m, "INBOX", false, messages("X"))
		if model.KindOf(err) != model.Unavailable {
			t.Errorf("beside another: %v", err)
		}
		return api.MailMessage{}, io.EOF
	})
	must(t, err)
}
