package transfer

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"toastmaster/admin/client"
)

// Form is a kind of file.
type Form string

// The forms.
const (
	Auto    Form = "auto"
	Maildir Form = "maildir"
	Mbox    Form = "mbox"
)

// Progress is told how many messages were looked at, how many octets they have, and how
// much of all that is.
type Progress func(messages int, octets, done, total int64)

// Failure is a message, or a folder, that was left out.
type Failure struct {
	What  string `json:"what"`
	Error string `json:"error"`
}

// FolderResult counts the messages of a folder.
type FolderResult struct {
	Folder string `json:"folder"`
	// Done are new, There were there already.
	Done  int `json:"done"`
	There int `json:"there"`
}

// Result is what was done, also with an error.
type Result struct {
	Address string         `json:"address"`
	Done    int            `json:"done"`
	There   int            `json:"there"`
	Bytes   int64          `json:"bytes"`
	Folders []FolderResult `json:"folders"`
	Failed  []Failure      `json:"failed"`
	// MoreFailed counts those beyond the first.
	MoreFailed int      `json:"more_failed,omitempty"`
	Warnings   []string `json:"warnings"`
}

// maxFailures is how many failures are named. It is no parameter: who has more has
// another problem.
const maxFailures = 1000

func newResult(address string) *Result {
	return &Result{Address: address, Folders: []FolderResult{}, Failed: []Failure{}, Warnings: []string{}}
}

func (r *Result) fail(what, why string) {
	if len(r.Failed) >= maxFailures {
		r.MoreFailed++
		return
	}
	r.Failed = append(r.Failed, Failure{what, why})
}

// AllFailed counts what was left out.
func (r *Result) AllFailed() int { return len(r.Failed) + r.MoreFailed }

// warn adds a warning, of which there are as many as of failures at most.
func (r *Result) warn(format string, args ...any) {
	switch {
	case len(r.Warnings) > maxFailures:
		return
	case len(r.Warnings) == maxFailures:
		format, args = "there are more warnings, which are not shown", nil
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// folder is the count of a folder, the last one as a rule.
func (r *Result) folder(name string) *FolderResult {
	for i := len(r.Folders) - 1; i >= 0; i-- {
		if r.Folders[i].Folder == name {
			return &r.Folders[i]
		}
	}
	r.Folders = append(r.Folders, FolderResult{Folder: name})
	return &r.Folders[len(r.Folders)-1]
}

func (r *Result) done(folder string, size int64) {
	r.Done++
	r.Bytes += size
	r.folder(folder).Done++
}

func (r *Result) there(folder string) {
	r.There++
	r.folder(folder).There++
}

// atOnce is how many messages one request asks for or brings.
const atOnce = 500

// ID is the ID of the n-th message of a folder, from 1, with the same content.
func ID(sum [sha256.Size]byte, n int) string {
	id := "M" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:32]
	if n > 1 {
		id += "N" + strconv.Itoa(n)
	}
	return id
}

// errNoFolder is for --folder.
var errNoFolder = errors.New("the mailbox has no such folder")

// letterOf is the letter of a system flag in the name of a Maildir file, 0 for none.
func letterOf(flag string) byte {
	switch strings.ToLower(flag) {
	case `\draft`:
		return 'D'
	case `\flagged`:
		return 'F'
	case `\answered`:
		return 'R'
	case `\seen`:
		return 'S'
	case `\deleted`:
		return 'T'
	}
	return 0
}

// flagOf is the flag of a letter. P(assed) is the keyword that clients set for a message
// that was forwarded.
func flagOf(letter byte) string {
	switch letter {
	case 'D':
		return `\Draft`
	case 'F':
		return `\Flagged`
	case 'P':
		return "$Forwarded"
	case 'R':
		return `\Answered`
	case 'S':
		return `\Seen`
	case 'T':
		return `\Deleted`
	}
	return ""
}

// mailbox is whose mail is moved.
type mailbox struct {
	c       *client.Client
	address string
}
