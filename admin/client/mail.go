package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"toastmaster/admin/model"
)

// MailFolders lists the folders of a mailbox.
func (c *Client) MailFolders(ctx context.Context, address string) ([]model.MailFolder, error) {
	out, err := call[model.MailFolders](ctx, c, request{method: http.MethodGet, path: path("mailboxes", address, "folders")})
	return out.Items, err
}

// MakeMailFolder makes a folder, if it is missing.
func (c *Client) MakeMailFolder(ctx context.Context, address string, f model.NewMailFolder) error {
	return c.send(ctx, request{method: http.MethodPost, path: path("mailboxes", address, "folders"), in: f})
}

// Mail lists a page of a folder.
func (c *Client) Mail(ctx context.Context, address, folder string, after uint32, limit int) (model.MailPage, error) {
	q := url.Values{"folder": {folder}, "after": {strconv.FormatUint(uint64(after), 10)}, "limit": {strconv.Itoa(limit)}}
	return call[model.MailPage](ctx, c, request{method: http.MethodGet, path: path("mailboxes", address, "messages"), query: q})
}

// ExportMail opens a tar archive of messages, which the caller closes. It may end before
// the last: see model.ExportEnd.
func (c *Client) ExportMail(ctx context.Context, address string, s model.MailSelection) (io.ReadCloser, error) {
	res, err := c.do(ctx, request{method: http.MethodPost, path: path("mailboxes", address, "export"), in: s})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// ImportedMail lists the IDs of the imported messages of a folder.
func (c *Client) ImportedMail(ctx context.Context, address, folder string) (model.ImportedIDs, error) {
	return call[model.ImportedIDs](ctx, c, request{method: http.MethodGet, path: path("mailboxes", address, "imported"), query: url.Values{"folder": {folder}}})
}

// ImportMail stores the messages of a tar archive of size octets. Those that have a
// result are on disk.
func (c *Client) ImportMail(ctx context.Context, address, folder string, overQuota bool, archive io.Reader, size int64) (model.MailImported, error) {
	var out model.MailImported
	q := url.Values{"folder": {folder}, "over_quota": {strconv.FormatBool(overQuota)}}
	res, err := c.do(ctx, request{method: http.MethodPost, path: path("mailboxes", address, "import"), query: q, archive: archive, size: size})
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&out); err != nil {
		return out, &model.Error{Kind: model.Internal, Text: "the server's answer is not understood", Cause: err}
	}
	return out, nil
}
