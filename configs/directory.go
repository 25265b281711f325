package configs

import "time"

// Directory is the section [directory]: where the hosted data is and how long
// an answer may be remembered.
type Directory struct {
	Type             string
	Path             string
	Readers          int
	BusyTimeout      time.Duration
	CacheEntries     int
	CacheTTL         time.Duration
	CacheNegativeTTL time.Duration
}

// DirectoryTypes are the kinds of directory that there are.
func DirectoryTypes() []string { return []string{"sqlite"} }

func (c *Directory) params() []Param {
	return []Param{
		Choice("directory.type", &c.Type, "sqlite", DirectoryTypes(),
			"What answers whether a domain, a recipient or an account exists: the SQLite database of directory.path, which the admin API writes."),
		String("directory.path", &c.Path, "directory.db", "a file", nil,
			"The SQLite database of domains, mailboxes and aliases.").Also("virtual_mailbox_domains", "virtual_mailbox_maps", "virtual_alias_maps", "relocated_maps", "passdb", "userdb", "alias_maps"),
		Int("directory.readers", &c.Readers, 4, 1, 64,
			"Connections that read the database at the same time. Each costs up to 2 MiB of memory."),
		Duration("directory.busy_timeout", &c.BusyTimeout, 5*time.Second, 0, time.Minute,
			"How long to wait for another process that has the database locked. After that mail is answered with a temporary failure."),
		Int("directory.cache_entries", &c.CacheEntries, 20000, 0, 10000000,
			"Answers remembered for each kind of question, found and not found apart. 0 remembers nothing.").Also("auth_cache_size"),
		Duration("directory.cache_ttl", &c.CacheTTL, time.Minute, 0, 24*time.Hour,
			"How long a found answer may be used. A change made through this instance's admin API is seen at once; one by another process after this time.").Also("auth_cache_ttl"),
		Duration("directory.cache_negative_ttl", &c.CacheNegativeTTL, 10*time.Second, 0, 24*time.Hour,
			"The same for the answer that there is no such domain, recipient or account.").Also("auth_cache_negative_ttl"),
	}
}
