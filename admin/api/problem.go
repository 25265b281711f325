package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

// problem is err for the caller: its text and fields, for one who runs the host what
// staff hears, never its cause.
func problem(ctx context.Context, err error) *huma.ErrorModel {
	var e *model.Error
	if !errors.As(err, &e) {
		e = &model.Error{Kind: model.Internal, Text: "internal error", Cause: err}
	}
	typeURI, status := e.Kind.Problem()
	out := &huma.ErrorModel{Type: typeURI, Title: http.StatusText(status), Status: status, Detail: e.Text}
	if p, ok := ctx.Value(principalKey{}).(authz.Principal); ok && e.Staff != "" && p.May(authz.Read, authz.Target{Object: authz.System}) {
		out.Detail += ": " + e.Staff
	}
	for _, f := range e.Fields {
		location := "body"
		if f.Field != "" {
			location += "." + f.Field
		}
		out.Errors = append(out.Errors, &huma.ErrorDetail{Message: f.Message, Location: location})
	}
	return out
}

// storeFailure is an error of the mail store, which says text. Where the store says
// itself what is wrong, because it is not in its place, the caller is told that too.
func storeFailure(kind model.Kind, text string, err error) error {
	var e *model.Error
	if errors.As(err, &e) && e.Kind == model.Unavailable {
		return &model.Error{Kind: model.Unavailable, Text: text + ": " + e.Text, Staff: e.Staff, Cause: e.Cause}
	}
	return &model.Error{Kind: kind, Text: text, Cause: err}
}

func (h *handlers) logFailure(ctx context.Context, err error) {
	switch model.KindOf(err) {
	case model.Internal:
		h.o.Log.ErrorContext(ctx, "admin request failed", "cause", err)
	case model.Unavailable:
		h.o.Log.WarnContext(ctx, "admin request failed", "cause", err)
	}
}

// handleError is echo's error handler: everything that did not come from an
// operation (no such route, body too large, time over).
func (h *handlers) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problem(c.Request().Context(), err)
	var he *echo.HTTPError
	if errors.As(err, &he) {
		p = &huma.ErrorModel{Type: "about:blank", Title: http.StatusText(he.Code), Status: he.Code}
	} else {
		h.logFailure(c.Request().Context(), err)
	}
	writeProblem(c.Response(), p)
}

func writeProblem(w http.ResponseWriter, p *huma.ErrorModel) {
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="toastmaster"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may have gone; nothing to be done
}
