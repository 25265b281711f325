package msglog

import (
	"log/slog"
	"time"

	"toastmaster/internal/dsn"
)

// attrFields makes slog attributes of an event, with the same keys and values
// as the text.
type attrFields []slog.Attr

func (f *attrFields) str(key, value string) {
	if value != "" {
		*f = append(*f, slog.String(key, cut(value)))
	}
}

func (f *attrFields) address(key, value string) {
	*f = append(*f, slog.String(key, "<"+cut(value)+">"))
}

func (f *attrFields) num(key string, value int64) { *f = append(*f, slog.Int64(key, value)) }
func (f *attrFields) flag(key string, value bool) { *f = append(*f, slog.Bool(key, value)) }

func (f *attrFields) seconds(key string, value time.Duration) {
	*f = append(*f, slog.String(key, string(appendSeconds(nil, value))))
}

func (f *attrFields) delays(key string, value [4]time.Duration) {
	*f = append(*f, slog.String(key, string(appendDelays(nil, value))))
}

func (f *attrFields) status(key string, value dsn.Status) {
	*f = append(*f, slog.String(key, value.String()))
}

func (f *attrFields) cause(err error) {
	if err != nil {
		f.str("cause", err.Error())
	}
}
