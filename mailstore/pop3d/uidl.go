package pop3d

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
)

// uidl is UIDL: the unique ids of one message or of all. What another server
// told clients and saved is the unique id; pop3d.uidl_format is for the rest.
// When it is not known what was saved there is no answer: with another one
// clients would get all their mail once more.
func (s *session) uidl(args []string) error {
	if !s.drop.uidlsRead {
		saved, err := s.drop.view.SavedUIDLs(s.ctx)
		if err != nil {
			s.warn("reading the saved unique ids failed", err)
			s.err("[SYS/TEMP] Unique ids are not available now, try again later")
			return nil
		}
		s.drop.uidls, s.drop.uidlsRead = saved, true
	}
	if s.drop.form == nil {
		form, err := s.uidForm()
		if err != nil {
			s.warn("reading the GUIDs failed", err)
			s.err("[SYS/TEMP] Unique ids are not available now, try again later")
			return nil
		}
		s.drop.form = form
	}
	return s.scan(args, func(b []byte, m *message) []byte {
		if id, ok := s.drop.uidls[m.uid]; ok {
			return append(b, id...)
		}
		return s.drop.form.append(b, m)
	})
}

// uidForm is pop3d.uidl_format for the maildrop.
func (s *session) uidForm() (*uidForm, error) {
	f := &uidForm{parts: s.h.uidlForm, validity: s.drop.view.Info().UIDValidity, fileName: s.drop.view.FileUIDL}
	if !slices.ContainsFunc(f.parts, func(p configs.UIDLPart) bool { return p.Variable == 'g' }) {
		return f, nil
	}
	var err error
	f.guids, err = s.drop.view.GUIDs(s.ctx)
	return f, err
}

// uidForm makes unique ids.
type uidForm struct {
	parts    []configs.UIDLPart
	validity uint32
	fileName func(imap.UID) string
	// guids are those that are not the file's name.
	guids map[imap.UID]string
}

// append appends the unique id of m. A name that cannot be told, with a blank in it,
// becomes what %08Xu%08Xv is: Dovecot would send the name, and clients read half of it.
func (f *uidForm) append(b []byte, m *message) []byte {
	for _, p := range f.parts {
		switch p.Variable {
		case 'u':
			b = appendNumber(b, uint32(m.uid), p)
		case 'v':
			b = appendNumber(b, f.validity, p)
		case 'f', 'g':
			id, ok := f.guids[m.uid]
			if !ok || p.Variable == 'f' {
				id = f.fileName(m.uid)
			}
			if id == "" {
				id = fmt.Sprintf("%08x%08x", uint32(m.uid), f.validity)
			}
			b = append(b, id...)
		default:
			b = append(b, p.Text...)
		}
	}
	return b
}

func appendNumber(b []byte, n uint32, p configs.UIDLPart) []byte {
	base := 10
	if p.Hex {
		base = 16
	}
	var digits [10]byte
	d := strconv.AppendUint(digits[:0], uint64(n), base)
	for range p.Width - len(d) {
		b = append(b, '0')
	}
	return append(b, d...)
}
