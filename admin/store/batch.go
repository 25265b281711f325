package store

import (
	"context"
	"encoding/json"
	"slices"

	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/db"
)

// batch is what a transaction of many changes knows and has not written yet. It
// asks the database about each thing once, and writes the rows of a table with one
// statement at the end: a statement a row costs several times as much, in SQLite most
// of all where a trigger or a savepoint makes it keep the pages before each. What is
// checked meanwhile sees what is going to be written.
//
// A transaction of one change has none: its methods know nothing then.
type batch struct {
	// kinds are what the addresses of the batch are; nil when it has no addresses.
	kinds map[string][]string
	// counts are what tx.room has counted.
	counts  map[countKey]int64
	domains map[string]knownDomain
	entries map[string]knownEntry
	// aliases are the targets of those that are not written yet.
	aliases map[string][]string

	// lines are the rows that flush writes, in the order of the arguments of the
	// queries.
	lines struct{ addresses, targets, relocated, audit [][]any }
}

type countKey struct {
	domain int64
	kind   string
}

// knownDomain is a domain, or that there is none; knownEntry is the same for what
// stands under an address.
type knownDomain struct {
	domainRow
	err error
}

type knownEntry struct {
	directory.Entry
	err error
}

// maxKnown bounds how many domains and entries a batch remembers. It is no
// parameter: beyond it the database is asked, as it would be without.
const maxKnown = 10000

// many makes the transaction one of many changes; addresses are those that it is
// about, if it is about addresses.
func (t *tx) many(ctx context.Context, addresses []string) error {
	t.Many()
	t.batch = &batch{
		counts: map[countKey]int64{}, domains: map[string]knownDomain{},
		entries: map[string]knownEntry{}, aliases: map[string][]string{},
	}
	if addresses == nil {
		return nil
	}
	kinds := map[string][]string{}
	names, err := json.Marshal(addresses)
	if err != nil {
		return err
	}
	rows, err := t.Query(ctx, selectKindsOfMany, string(names))
	_, err = collect(rows, err, func(r *db.Rows) (struct{}, error) {
		var address, kind string
		err := r.Scan(&address, &kind)
		kinds[address] = append(kinds[address], kind)
		return struct{}{}, err
	})
	t.batch.kinds = kinds
	return err
}

// took notes that an address is taken.
func (b *batch) took(p newAddress) {
	if b == nil {
		return
	}
	b.kinds[p.address] = append(b.kinds[p.address], p.kind)
	if n, known := b.count(p.domain.id, p.kind); known {
		b.counts[countKey{p.domain.id, p.kind}] = n + 1
	}
}

// take notes the row of an address.
func (b *batch) take(p newAddress) {
	b.took(p)
	b.lines.addresses = append(b.lines.addresses, []any{p.address, p.domain.id, p.local, p.kind})
}

// alias notes the rows of an alias.
func (b *batch) alias(p newAddress, targets []string) {
	b.take(p)
	b.aliases[p.address] = targets
	for i, target := range targets {
		b.lines.targets = append(b.lines.targets, []any{p.address, i, target})
	}
}

// relocate notes the rows of a relocated address.
func (b *batch) relocate(p newAddress, movedTo string) {
	b.take(p)
	b.lines.relocated = append(b.lines.relocated, []any{p.address, movedTo})
}

// flush writes what is noted. It can only fail as a whole.
func (t *tx) flush(ctx context.Context) error {
	for _, w := range []struct {
		lines [][]any
		query db.Query
		more  []any
	}{
		{t.batch.lines.addresses, insertAddresses, []any{t.now}},
		{t.batch.lines.targets, insertAliases, nil},
		{t.batch.lines.targets, insertTargets, nil},
		{t.batch.lines.relocated, insertManyRelocated, nil},
		{t.batch.lines.audit, insertManyAudit, []any{t.now, t.actor}},
	} {
		if len(w.lines) == 0 {
			continue
		}
		text, err := json.Marshal(w.lines)
		if err != nil {
			return err
		}
		if _, err := t.Exec(ctx, w.query, slices.Concat([]any{string(text)}, w.more)...); err != nil {
			return err
		}
	}
	return nil
}

// count is what was counted of a kind in a domain.
func (b *batch) count(domain int64, kind string) (n int64, known bool) {
	if b == nil {
		return 0, false
	}
	n, known = b.counts[countKey{domain, kind}]
	return n, known
}

func (b *batch) counted(domain int64, kind string, n int64) {
	if b != nil {
		b.counts[countKey{domain, kind}] = n
	}
}

// domain is what is known of a domain.
func (b *batch) domain(name string) (d domainRow, err error, known bool) {
	if b == nil {
		return d, nil, false
	}
	k, known := b.domains[name]
	return k.domainRow, k.err, known
}

func (b *batch) knowDomain(name string, d domainRow, err error) {
	if b != nil && len(b.domains) < maxKnown && (err == nil || model.KindOf(err) == model.NotFound) {
		b.domains[name] = knownDomain{d, err}
	}
}

// forgetDomain is for one that is made.
func (b *batch) forgetDomain(name string) {
	if b != nil {
		delete(b.domains, name)
	}
}

// entry is what is known of an address that the batch does not make.
func (b *batch) entry(address string) (e directory.Entry, err error, known bool) {
	if b == nil {
		return e, nil, false
	}
	k, known := b.entries[address]
	return k.Entry, k.err, known
}

func (b *batch) knowEntry(address string, e directory.Entry, err error) {
	if b == nil || len(b.entries) >= maxKnown {
		return
	}
	if outcome := directory.OutcomeOf(err); outcome == directory.Found || outcome == directory.NotFound {
		b.entries[address] = knownEntry{e, err}
	}
}

// targets are those of an alias that is not written yet; nil when it is none.
func (b *batch) targets(address string) []string {
	if b == nil {
		return nil
	}
	return b.aliases[address]
}
