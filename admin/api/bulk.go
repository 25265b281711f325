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
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

// MaxBulk is the most things in one request. More would hold the write lock
// of the database for seconds.
const MaxBulk = 5000

// registerBulk declares the bulk additions.
func (s *Server) registerBulk(a huma.API) {
	h := s.h
	addBulk(s, a, "mailboxes", "Passwords are hashed in full at the first log-in.", reflect.TypeFor[model.NewMailbox](), h.bulkAddMailboxes)
	addBulk(s, a, "aliases", "", reflect.TypeFor[model.NewAlias](), bulkOf(h, h.o.Store.AddAliases))
	addBulk(s, a, "relocated", "", reflect.TypeFor[model.NewRelocated](), bulkOf(h, h.o.Store.AddRelocations))
	addBulk(s, a, "domains", "", reflect.TypeFor[model.NewDomain](), bulkOf(h, h.o.Store.AddDomains))
}

// addBulk declares the body by hand: huma knows one type for a raw body.
func addBulk[I any](s *Server, a huma.API, things, more string, of reflect.Type, f func(context.Context, caller, *I) (*body[model.BulkResponse], error)) {
	schemas := a.OpenAPI().Components.Schemas
	one := huma.SchemaFromType(schemas, of)
	op := huma.Operation{
		Method: http.MethodPost, Path: "/" + things + "/bulk", OperationID: "bulk-add-" + things, Tags: []string{things},
		Summary:     "Add many " + things,
		Description: strings.TrimSpace(fmt.Sprintf("A JSON array, or a JSON object a line, of at most %d. What exists is left alone, so that it can be repeated. %s", MaxBulk, more)),
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json":     {Schema: &huma.Schema{Type: huma.TypeArray, Items: one}},
			"application/x-ndjson": {Schema: one},
		}},
		SkipValidateBody: true,
	}
	// Addresses of any domain: it takes the right to all.
	route(s.h, a, op, authz.Write, onSystem, f)
}

type bulkInput struct {
	Dry     bool   `query:"dry_run" doc:"Change nothing, and answer what would be done"`
	RawBody []byte `contentType:"application/x-ndjson"`
}

// bulkOf makes the handler of a bulk addition.
func bulkOf[T any](h *handlers, add func(context.Context, string, []T, bool) ([]model.BulkResult, error)) func(context.Context, caller, *bulkInput) (*body[model.BulkResponse], error) {
	return func(ctx context.Context, by caller, in *bulkInput) (*body[model.BulkResponse], error) {
		things, err := decodeBulk[T](in.RawBody)
		if err != nil {
			return nil, err
		}
		results, err := add(ctx, by.name, things, in.Dry)
		if err != nil {
			return nil, err
		}
		return &body[model.BulkResponse]{countResults(results)}, nil
	}
}

func (h *handlers) bulkAddMailboxes(ctx context.Context, by caller, in *bulkInput) (*body[model.BulkResponse], error) {
	boxes, err := decodeBulk[model.NewMailbox](in.RawBody)
	if err != nil {
		return nil, err
	}
	results, err := h.o.Store.AddMailboxes(ctx, by.name, boxes, in.Dry, h.keepsOldMail)
	if err != nil {
		return nil, err
	}
	return &body[model.BulkResponse]{countResults(results)}, nil
}

func countResults(results []model.BulkResult) model.BulkResponse {
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
	return out
}

// decodeBulk reads an array or one object after the other.
func decodeBulk[T any](b []byte) ([]T, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	array := bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("["))
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, badBulk(0, err)
		}
	}
	var out []T
	for !array || dec.More() {
		var m T
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF) && !array:
			return out, nil
		case err != nil:
			return nil, badBulk(len(out), err)
		case len(out) == MaxBulk:
			return nil, model.Fail(model.Invalid, fmt.Sprintf("more than %d in one request", MaxBulk))
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
