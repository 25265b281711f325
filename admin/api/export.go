package api

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"toastmaster/admin/model"
)

// exportBytes is how much one answer of exportQueue has, unless one message has
// more: it must be written within admin.request_timeout. It is no parameter: a
// client asks again for what is left, and admin.request_timeout is the limit that an
// operator sets.
const exportBytes = 64 << 20

// maxExport is the most IDs that one request may name. It is no parameter: a client
// asks in pieces.
const maxExport = 1000

func (h *handlers) queueIDs(ctx context.Context, _ caller, _ *struct{}) (*body[model.QueueIDs], error) {
	ids, err := h.o.Queue.IDs(ctx)
	if ids == nil {
		ids = []string{}
	}
	return &body[model.QueueIDs]{model.QueueIDs{IDs: ids}}, err
}

// exportQueue answers with the messages as a tar archive of files of a queue, in
// the order asked for. Those that have left are left out. The last entry,
// model.ExportEnd, has the number of IDs that were worked on: an answer that is
// full ends early, and one without it was cut off.
func (h *handlers) exportQueue(ctx context.Context, by caller, in *body[model.QueueIDs]) (*huma.StreamResponse, error) {
	// Messages of everybody, with their content: as good as all rights.
	if len(in.Body.IDs) > maxExport {
		return nil, model.Fail(model.Invalid, fmt.Sprintf("at most %d IDs at once", maxExport))
	}
	h.writeAudit(ctx, by, "export", fmt.Sprintf("%d messages", len(in.Body.IDs)), nil, in.Body)
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/x-tar")
		if err := h.writeExport(ctx, hc.BodyWriter(), in.Body.IDs); err != nil {
			h.logFailure(ctx, err)
		}
	}}, nil
}

func (h *handlers) writeExport(ctx context.Context, to io.Writer, ids []string) error {
	w := tar.NewWriter(to)
	var size int64
	done := 0
	for _, id := range ids {
		if size > exportBytes || ctx.Err() != nil {
			break
		}
		n, err := h.exportOne(ctx, w, id)
		if err != nil {
			return err
		}
		size += n
		done++
	}
	text := strconv.Itoa(done)
	if err := w.WriteHeader(&tar.Header{Name: model.ExportEnd, Mode: 0o600, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return errors.Join(err, w.Close())
}

func (h *handlers) exportOne(ctx context.Context, w *tar.Writer, id string) (int64, error) {
	f, err := h.o.Queue.Export(ctx, id)
	if model.KindOf(err) == model.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Content.Close()
	head := &tar.Header{Name: f.Path, Mode: 0o600, Size: f.Size, ModTime: f.Next, Format: tar.FormatPAX}
	if err := w.WriteHeader(head); err != nil {
		return 0, err
	}
	return io.Copy(w, f.Content)
}
