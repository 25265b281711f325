package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

// MaxBulk is the most mailboxes in one request. More would hold the write lock
// of the database for seconds.
const MaxBulk = 5000

type bulkInput struct {
	RawBody []byte `contentType:"application/x-ndjson"`
}

// registerBulk declares the body by hand: huma knows one type for a raw body.
func (s *Server) registerBulk(a huma.API) {
	schemas := a.OpenAPI().Components.Schemas
	one := huma.SchemaFromType(schemas, reflect.TypeFor[model.NewMailbox]())
	op := huma.Operation{
		Method: http.MethodPost, Path: "/mailboxes/bulk", OperationID: "bulk-add-mailboxes", Tags: []string{"mailboxes"},
		Summary:     "Add many mailboxes",
		Description: fmt.Sprintf("A JSON array, or a JSON object a line, of at most %d mailboxes. Mailboxes that exist are left alone, so that it can be repeated. Passwords are hashed in full at the first log-in.", MaxBulk),
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json":     {Schema: &huma.Schema{Type: huma.TypeArray, Items: one}},
			"application/x-ndjson": {Schema: one},
		}},
		MaxBodyBytes: s.h.o.Params.BodyLimit, BodyReadTimeout: bodyTimeout, SkipValidateBody: true,
	}
	huma.Register(a, op, answering(s.h, s.h.bulkAddMailboxes))
}

func (h *handlers) bulkAddMailboxes(ctx context.Context, in *bulkInput) (*body[model.BulkResponse], error) {
	// Addresses of any domain: it takes the right to all.
	actor, err := may(ctx, authz.Write, onSystem())
	if err != nil {
		return nil, err
	}
	boxes, err := decodeBulk(in.RawBody)
	if err != nil {
		return nil, err
	}
	results, err := h.o.Store.AddMailboxes(ctx, actor, boxes, h.keepsOldMail)
	if err != nil {
		return nil, err
	}
	out := model.BulkResponse{Results: results}
	for _, r := range results {
		switch r.Result {
		case model.BulkAdded:
			out.Added++
		case model.BulkExists:
			out.Exists++
		default:
			out.Failed++
		}
	}
	return &body[model.BulkResponse]{out}, nil
}

// decodeBulk reads an array or one object after the other.
func decodeBulk(b []byte) ([]model.NewMailbox, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	array := bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("["))
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, badBulk(0, err)
		}
	}
	var out []model.NewMailbox
	for !array || dec.More() {
		var m model.NewMailbox
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF) && !array:
			return out, nil
		case err != nil:
			return nil, badBulk(len(out), err)
		case len(out) == MaxBulk:
			return nil, model.Fail(model.Invalid, fmt.Sprintf("more than %d mailboxes", MaxBulk))
		}
		out = append(out, m)
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return nil, badBulk(len(out), err)
	}
	return out, nil
}

func badBulk(i int, err error) error {
	return &model.Error{Kind: model.Invalid, Text: "invalid input",
		Fields: []model.FieldError{{Field: fmt.Sprintf("[%d]", i), Message: err.Error()}}}
}
