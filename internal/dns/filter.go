package dns

import (
	"context"
	"errors"
	"strconv"
	"strings"

	mdns "github.com/miekg/dns"

	"toastmaster/internal/printable"
)

// Filter says that a record is left out of an answer. It is given as Postfix's *_dns_reply_filter has it,
// "name. ttl IN type value", with a preference before the value of an MX record; names end in a dot. An error is NoAnswer.
type Filter func(ctx context.Context, record string) (ignore bool, err error)

// Filtered asks as r does, and knows what r knows, but leaves records of the types MX (but for the null MX), A, AAAA and TXT out as filter says. An
// answer without a record left is NoAnswer: nobody has said that there is none.
func (r *Resolver) Filtered(filter Filter) *Resolver { return &Resolver{core: r.core, filter: filter} }

// Unfiltered is who r was made of.
func (r *Resolver) Unfiltered() *Resolver { return &Resolver{core: r.core} }

var errFiltered = errors.New("the filter of DNS replies leaves no record")

// filtered are the records that the filter leaves.
func (r *Resolver) filtered(ctx context.Context, records []mdns.RR) ([]mdns.RR, error) {
	if r.filter == nil {
		return records, nil
	}
	var left []mdns.RR
	for _, record := range records {
		if text := recordText(record); text != "" {
			ignore, err := r.filter(ctx, text)
			if err != nil {
				return nil, err
			}
			if ignore {
				continue
			}
		}
		left = append(left, record)
	}
	if len(left) == 0 && len(records) > 0 {
		return nil, errFiltered
	}
	return left, nil
}

// recordText is a record as a filter sees it, "" for one of a type that is not filtered.
func recordText(record mdns.RR) string {
	value := ""
	switch r := record.(type) {
	case *mdns.A:
		value = r.A.String()
	case *mdns.AAAA:
		value = r.AAAA.String()
	case *mdns.MX:
		if canonical(r.Mx) == "" {
			return "" // the null MX is no exchanger that could be left out, as in Postfix
		}
		value = strconv.Itoa(int(r.Preference)) + " " + canonical(r.Mx) + "."
	case *mdns.TXT:
		value = printable.ASCII(octets(strings.Join(r.Txt, "")))
	default:
		return ""
	}
	h := record.Header()
	return canonical(h.Name) + ". " + strconv.FormatUint(uint64(h.Ttl), 10) + " IN " + mdns.TypeToString[h.Rrtype] + " " + value
}
