package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/process"
	"toastmaster/internal/trace"
	"toastmaster/mta/agent"
)

// Bounds of an expansion. They are no parameters: nobody's list is that deep, and a
// loop must end; maxListBytes is a line for each of what alias_expansion_limit may be.
const (
	maxLevel     = 100
	maxLine      = 64 << 10
	maxListBytes = 64 << 20
)

// delivery is one recipient's. First it is found out what is to be done, and nothing is
// changed; then it is done.
type delivery struct {
	a         *Agent
	r         *agent.Request
	to        envelope.Recipient
	delivered trace.Delivered
	seen      map[key]bool
	lookups   int
	// read is how many octets of lists there were.
	read int
	// many says that there are more parts than alias_expansion_limit: nothing is looked at any more.
	many   bool
	steps  []step
	failed []*dsn.Error
	// listed says that somebody stands for others: a mailing list has an owner, or several members.
	listed bool
}

// place is where in the expansion something was found.
type place struct {
	level int
	// from is 0 for the recipient itself.
	from source
	// alias is the one that is being expanded.
	alias string
	// user is whose rights commands and files have; nil is default_privs.
	user *hostuser.User
	// sender is the envelope's, or the owner of a list.
	sender addr.Address
	// owner answers for what is expanded: the owner of a list, whoever the list is for, the user whose .forward it
	// is. Other users of this host then get a message of their own by the queue.
	owner string
	// anew says that the mail is a list's: nobody is told whom the sender wrote to, as in Postfix.
	anew bool
	// at is the address that is being delivered to.
	at addr.Address
}

// step is one thing to be done.
type step struct {
	kind kind
	text string // the command, the file, the user, the address, the transport with its nexthop
	place
	// who is the user of the mailbox, or whose rights are used.
	who hostuser.User
}

// fail notes what becomes of a part of the expansion.
func (d *delivery) fail(err *dsn.Error) { d.failed = append(d.failed, err) }

func (d *delivery) add(s step) {
	if key := s.key(); !d.seen[key] {
		d.seen[key] = true
		d.steps = append(d.steps, s)
	}
}

// oneMore counts what is looked at. Beyond the limit that is the one failure, and the end: a list that one may have in his
// home must not fill the memory of all.
func (d *delivery) oneMore() {
	if d.lookups++; d.lookups > d.a.o.Params.AliasLimit {
		d.tooMany(fmt.Errorf("%s stands for more than %d addresses, commands and files (local.alias_expansion_limit)", d.to.Address, d.a.o.Params.AliasLimit))
	}
}

func (d *delivery) tooMany(cause error) {
	d.many, d.steps, d.failed = true, nil, []*dsn.Error{dsn.Wrap(dsn.Make(5, 2, 4), "mailing list expansion problem", cause)}
}

// recipient finds what is to be done for an address that is delivered here.
func (d *delivery) recipient(ctx context.Context, p place) {
	if d.oneMore(); d.many {
		return
	}
	if p.level > maxLevel {
		d.fail(dsn.Newf(dsn.LoopDetected, "alias database loop for %s", p.at.Local))
		return
	}
	if d.delivered.To(p.at) {
		d.fail(dsn.Newf(dsn.LoopDetected, "mail forwarding loop for %s", p.at))
		return
	}
	local := strings.ToLower(p.at.Local)
	if name, plain := strings.CutPrefix(local, `\`); plain {
		p.at.Local = name
		d.mailbox(ctx, p)
		return
	}
	base, _ := d.a.split(local)
	for _, name := range slices.Compact([]string{local, base}) {
		if d.alias(ctx, p, name) {
			return
		}
	}
	if p.owner != "" && !strings.EqualFold(p.owner, base) {
		d.add(step{kind: toAddress, text: p.at.String(), place: p})
		return
	}
	if !d.forward(ctx, p) {
		d.mailbox(ctx, p)
	}
}

// alias expands a name of the alias tables; false when there is none, or when the name stands in
// its own expansion: then it is the user.
func (d *delivery) alias(ctx context.Context, p place, name string) bool {
	if strings.EqualFold(p.alias, name) {
		return false
	}
	text, file, found, err := d.a.alias(ctx, name)
	if err != nil {
		d.fail(err)
		return true
	}
	if !found {
		return false
	}
	owner, statErr := d.a.ownerOf(d.a.path(file))
	if statErr != nil {
		d.fail(unavailable(statErr))
		return true
	}
	if err := d.owned(ctx, &p, name); err != nil {
		d.fail(err)
		return true
	}
	p.level, p.from, p.alias, p.user = p.level+1, fromAlias, name, owner
	d.tokens(ctx, p, tokens(text))
	return true
}

// owned finds who owns an alias: its mail is sent on as his.
func (d *delivery) owned(ctx context.Context, p *place, name string) *dsn.Error {
	params := &d.a.o.Params
	if !params.OwnerRequestSpecial || strings.HasPrefix(name, "owner-") || strings.HasSuffix(name, "-request") {
		return nil
	}
	owner := "owner-" + name
	text, _, has, err := d.a.alias(ctx, owner)
	switch {
	case err != nil:
		return err
	case !has && params.ResetOwnerAlias:
		p.owner = ""
	case has:
		d.listed, p.owner, p.anew = true, owner, true
		if d.r.Envelope.Sender.IsNull() {
			return nil
		}
		p.sender = addr.Address{Local: owner, Domain: p.at.Domain}
		if all := tokens(text); params.ExpandOwnerAlias && len(all) == 1 {
			if a, err := addr.Parse(all[0]); err == nil {
				if p.sender = a; a.Domain == "" {
					p.sender.Domain = p.at.Domain
				}
			}
		}
	}
	return nil
}

// path is a file of the configuration.
func (a *Agent) path(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(a.o.Dir, file)
}

func (d *delivery) tokens(ctx context.Context, p place, all []string) {
	if len(all) == 0 {
		d.fail(dsn.Wrap(dsn.Make(5, 3, 5), "mail system configuration error", fmt.Errorf("%s stands for nobody", p.alias)))
	}
	if len(all) > 1 {
		d.listed = true
	}
	for _, text := range all {
		if d.many || ctx.Err() != nil {
			return
		}
		d.token(ctx, p, text)
	}
}

func (d *delivery) token(ctx context.Context, p place, text string) {
	if d.oneMore(); d.many {
		return
	}
	who := d.a.privs
	if p.user != nil {
		who = *p.user
	}
	switch file, include := strings.CutPrefix(text, ":include:"); {
	case include:
		d.include(ctx, p, strings.TrimSpace(file))
	case strings.HasPrefix(text, "|"):
		if d.a.mayRun&p.from == 0 {
			d.fail(dsn.New(dsn.Policy, "mail to command is restricted"))
			return
		}
		d.add(step{toCommand, strings.TrimSpace(text[1:]), p, who})
	case strings.HasPrefix(text, "/"):
		if d.a.mayWrite&p.from == 0 {
			d.fail(dsn.New(dsn.Policy, "mail to file is restricted"))
			return
		}
		d.add(step{toFile, text, p, who})
	default:
		d.address(ctx, p, text)
	}
}

// address is somebody here, or somebody elsewhere who gets the message by the queue.
func (d *delivery) address(ctx context.Context, p place, text string) {
	a := addr.Address{Local: text}
	if plain := strings.HasPrefix(text, `\`); !plain || strings.Contains(text, "@") {
		parsed, err := addr.Parse(strings.TrimPrefix(text, `\`))
		if err != nil {
			parsed, err = addr.Parse(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`)
		}
		if err != nil {
			d.fail(dsn.Wrap(dsn.BadDestSyntax, "bad address syntax", err))
			return
		}
		if a = parsed; plain {
			a.Local = `\` + a.Local
		}
	}
	if a.Domain == "" {
		a.Domain = p.at.Domain
	}
	if strings.HasPrefix(a.Local, "-") {
		d.fail(dsn.New(dsn.BadDestSyntax, "bad address syntax"))
		return
	}
	if d.a.Here(a.Domain) {
		p.level, p.at = p.level+1, a
		d.recipient(ctx, p)
		return
	}
	d.add(step{kind: toAddress, text: a.String(), place: p})
}

// include reads a list. Whoever owns the file has its commands run as himself.
func (d *delivery) include(ctx context.Context, p place, name string) {
	if !filepath.IsAbs(name) {
		d.fail(dsn.Wrap(dsn.Make(5, 3, 5), "mail system configuration error", fmt.Errorf("%q is no path from the root", name)))
		return
	}
	if p.level > maxLevel {
		d.fail(dsn.Newf(dsn.LoopDetected, "alias database loop for %s", p.at.Local))
		return
	}
	as := &reader{d.a.privs, -1}
	var err error
	if p.user != nil {
		as.user = *p.user
	} else {
		as, err = d.a.readerOf(name)
	}
	var list []string
	var owner *hostuser.User
	if err == nil {
		err = d.a.asReader(as, func() (err error) {
			list, owner, err = d.a.readList(name, nil)
			return err
		})
	}
	switch {
	case errors.Is(err, errTooMany):
		d.tooMany(err)
		return
	case err != nil:
		d.fail(dsn.Wrap(dsn.MailSystem, "cannot read a list of recipients", err))
		return
	}
	for _, text := range list {
		d.read += len(text)
	}
	if d.read > maxListBytes { // each list waits in memory for those that it names
		d.tooMany(fmt.Errorf("the lists for %s have more than %d octets", d.to.Address, maxListBytes))
		return
	}
	if p.user == nil {
		p.user = owner
	}
	p.level, p.from = p.level+1, fromInclude
	if p.owner == "" {
		p.owner = p.at.String()
	}
	d.listed = true
	for _, text := range list {
		if d.many || ctx.Err() != nil {
			return
		}
		d.token(ctx, p, text)
	}
}

// asReader reads a file as somebody; nil is the server.
func (a *Agent) asReader(r *reader, f func() error) error {
	if r == nil {
		return f()
	}
	return process.As(r.user, r.group, f)
}

// errUnsafe is returned for a file that somebody else than its owner may have written.
var errUnsafe = errors.New("others may write to it")

// errTooMany is returned for a list that is longer than is looked at.
var errTooMany = errors.New("the list is too long")

// readList reads what a list of recipients has: a regular file that only its
// owner writes, who is the given one or root. The file is looked at once it is open. It reads no further than
// local.alias_expansion_limit.
func (a *Agent) readList(name string, owner *hostuser.User) (list []string, of *hostuser.User, err error) {
	f, err := a.o.FS.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok && owner != nil { // a file system without owners, one of a test's
		st = &syscall.Stat_t{Uid: uint32(owner.UID), Gid: uint32(owner.GID)}
	} else if !ok {
		st = &syscall.Stat_t{}
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s: it is no regular file", name)
	case info.Mode().Perm()&0o002 != 0, owner != nil && info.Mode().Perm()&0o020 != 0 && int(st.Gid) != owner.GID:
		return nil, nil, fmt.Errorf("%s: %w (mode %v)", name, errUnsafe, info.Mode().Perm())
	case owner != nil && int(st.Uid) != owner.UID && st.Uid != 0:
		return nil, nil, fmt.Errorf("%s: %w: it belongs to user %d", name, errUnsafe, st.Uid)
	}
	if of, err = ownerOfInfo(info); err != nil {
		return nil, nil, err
	}
	limit := a.o.Params.AliasLimit
	in := bufio.NewScanner(io.LimitReader(f, maxListBytes+1))
	in.Buffer(nil, maxLine)
	for size := 0; in.Scan(); {
		line := in.Text()
		if size += len(line) + 1; size > maxListBytes {
			return nil, nil, fmt.Errorf("%s: %w: more than %d octets", name, errTooMany, maxListBytes)
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if list = append(list, tokens(line)...); len(list) > limit {
			return nil, nil, fmt.Errorf("%s: %w: more than %d addresses, commands and files (local.alias_expansion_limit)", name, errTooMany, limit)
		}
	}
	return list, of, in.Err()
}

func ownerOfInfo(info fs.FileInfo) (*hostuser.User, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil, nil
	}
	u, err := hostuser.FindID(int(st.Uid))
	if errors.Is(err, hostuser.ErrNoUser) {
		u, err = hostuser.User{Name: fmt.Sprint(st.Uid), UID: int(st.Uid), GID: int(st.Gid), Home: "/"}, nil
	}
	return &u, err
}

// user is the user that an address is, without its extension; the whole local part counts first.
func (d *delivery) user(p place) (u hostuser.User, found bool, failed *dsn.Error) {
	local := strings.ToLower(p.at.Local)
	base, _ := d.a.split(local)
	for _, name := range []string{local, base} {
		u, err := d.a.o.Find(name)
		if err == nil {
			return u, true, nil
		}
		if !errors.Is(err, hostuser.ErrNoUser) {
			return u, false, unavailable(err)
		}
	}
	return u, false, nil
}

// forward follows the user's .forward; false when there is none, or the user stands in his own.
func (d *delivery) forward(ctx context.Context, p place) bool {
	u, found, err := d.user(p)
	if err != nil {
		d.fail(err)
		return true
	}
	if !found || d.seen[followedKey(u.Name)] {
		return false
	}
	if err := d.homeless(u); err != nil {
		d.fail(err)
		return true
	}
	for _, path := range d.a.templates.forward {
		name := path.Expand(d.values(p, &u, d.a.o.Params.ForwardFilter))
		if !filepath.IsAbs(name) {
			continue
		}
		var list []string
		err := process.As(u, -1, func() (err error) {
			list, _, err = d.a.readList(name, &u)
			return err
		})
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			continue
		case errors.Is(err, hostuser.ErrRoot):
			return false
		case errors.Is(err, hostuser.ErrNotPermitted):
			d.fail(notPermitted(err))
			return true
		case errors.Is(err, errUnsafe):
			d.a.o.Log.Warn("forward file ignored", "service", "local", "id", string(d.r.Envelope.ID), "cause", err)
			return false
		case errors.Is(err, errTooMany):
			d.tooMany(err)
			return true
		case err != nil:
			d.fail(dsn.Wrap(dsn.MailSystem, "cannot read the user's .forward file", err))
			return true
		}
		if d.follow(ctx, p, u, list) {
			return true
		}
		return false // an empty one is as none
	}
	return false
}

func (d *delivery) follow(ctx context.Context, p place, u hostuser.User, list []string) (any bool) {
	d.seen[followedKey(u.Name)] = true
	p.level, p.from, p.user, p.owner = p.level+1, fromForward, &u, u.Name
	d.listed = d.listed || len(list) > 1
	for _, text := range list {
		if d.many || ctx.Err() != nil {
			break
		}
		d.token(ctx, p, text)
	}
	return len(list) > 0
}

func notPermitted(err error) *dsn.Error {
	return dsn.Wrap(dsn.Misconfigured, "mail system configuration error", err)
}

// homeless is an error for a user whose home is to be there and is not (local.require_home_directory).
func (d *delivery) homeless(u hostuser.User) *dsn.Error {
	if !d.a.o.Params.RequireHome {
		return nil
	}
	err := process.As(u, -1, func() error { _, err := d.a.o.FS.Stat(u.Home); return err })
	if err == nil || errors.Is(err, hostuser.ErrRoot) || errors.Is(err, hostuser.ErrNotPermitted) {
		return nil // what comes next says so
	}
	text := "cannot access home directory " + u.Home
	var number syscall.Errno
	if errors.As(err, &number) {
		why := number.Error()
		text += ": " + strings.ToUpper(why[:1]) + why[1:]
	}
	return dsn.Wrap(dsn.MailSystem, text, err)
}

// mailbox is the user's own, or that of another transport; who is no user has what is for those.
func (d *delivery) mailbox(ctx context.Context, p place) {
	u, found, err := d.user(p)
	if err != nil {
		d.fail(err)
		return
	}
	if d.passed(ctx, p, &u, d.a.mailboxes, d.a.o.Params.MailboxTransport) {
		return
	}
	switch {
	case found:
		d.add(step{toMailbox, u.Name, p, u})
	case !d.passed(ctx, p, &u, d.a.fallbacks, d.a.o.Params.FallbackTransport):
		d.unknown(ctx, p)
	}
}

// unknown is an address that is neither an alias nor a user. luser_relay is one address, whatever stands in the
// macros: they are a stranger's words, and a list would let him name others, files and lists. A local part with more
// than an unquoted one may have is nobody for that reason.
func (d *delivery) unknown(ctx context.Context, p place) {
	relay := d.a.templates.luser.Expand(d.values(p, nil, d.a.o.Params.CommandFilter))
	if relay == "" || d.seen[relayedKey(p.at)] || strings.ContainsFunc(p.at.Local, special) {
		d.fail(dsn.Newf(dsn.BadDestMailbox, "unknown user: \"%s\"", strings.ToLower(p.at.Local)))
		return
	}
	d.seen[relayedKey(p.at)] = true
	p.level, p.from, p.user = p.level+1, fromAlias, nil
	d.address(ctx, p, relay)
}

// special says that an unquoted local part has no such character (RFC 5321, dot-string).
func special(r rune) bool { return r <= ' ' || strings.ContainsRune(`()<>[]:;@\,"`, r) || r == 0x7f }
