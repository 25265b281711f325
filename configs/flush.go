package configs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"toastmaster/internal/addr"
)

// FlushDir is the folder of fast flush, see Config.MTAPath.
const FlushDir = "flush"

// Flush is the section [flush].
type Flush struct {
	// Domains are flush.fast_flush_domains; see ParseDomainItem.
	Domains     []string
	RefreshTime time.Duration
	PurgeTime   time.Duration
	SiteLimit   int
}

func (c *Flush) params() []Param {
	domains := domainList("flush.fast_flush_domains", &c.Domains, nil,
		"For which destinations it is known which deferred messages wait for them, so that they can fetch their mail with ETRN (Postfix fast_flush_domains, whose default, $relay_domains, is empty, too). The first that fits counts; with a domain its subdomains are meant, too, see main.parent_domain_matches_subdomains. ETRN for another domain is answered with 459.").Also("fast_flush_domains")
	return []Param{
		domains,
		Duration("flush.fast_flush_refresh_time", &c.RefreshTime, 12*time.Hour, time.Minute, 90*day,
			"A destination that has not asked for its mail for so long gets a try of all of it (Postfix fast_flush_refresh_time).").Also("fast_flush_refresh_time"),
		Duration("flush.fast_flush_purge_time", &c.PurgeTime, 7*day, time.Minute, 90*day,
			"After so long without deferred mail the log of a destination is removed (Postfix fast_flush_purge_time).").Also("fast_flush_purge_time"),
		Int("flush.site_limit", &c.SiteLimit, 100_000, 1, 10_000_000,
			"How many destinations may have a log. Deferred mail for one more is not listed, with a warning in the log, and ETRN for one without a log is answered with 458 then."),
	}
}

// domainList is a list of domains, with tables among them (keys.Domains).
func domainList(name string, field *[]string, def []string, text string) Param {
	p := List(name, field, def, `domains, ".domain" for those below it, lookup tables "type:argument", "!" before what is none`, checkDomainItem, text)
	p.Tables = func() []string { return tablesAmong(*field) }
	return p
}

// tablesAmong are the tables of a list of domains.
func tablesAmong(list []string) (names []string) {
	for _, item := range list {
		if text, _ := ParseDomainItem(item); strings.Contains(text, ":") {
			names = append(names, text)
		}
	}
	return names
}

// ParseDomainItem reads an item of a list of domains: "!" before one that is not meant.
func ParseDomainItem(s string) (text string, not bool) {
	text, not = strings.CutPrefix(strings.TrimSpace(s), "!")
	return strings.TrimSpace(text), not
}

func checkDomainItem(s string) error {
	text, _ := ParseDomainItem(s)
	switch {
	case text == "":
		return errors.New("empty domain")
	case strings.Contains(text, ":"):
		return checkTable(text)
	}
	if _, err := addr.ParseDomain(strings.TrimPrefix(text, ".")); err != nil {
		return fmt.Errorf("no domain: %w", err)
	}
	return nil
}
