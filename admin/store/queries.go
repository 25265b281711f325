package store

// All SQL of the write side stands here. Columns are always listed, so that a
// column that a later schema adds changes nothing.
const (
	domainColumns = `
SELECT d.id, d.name, COALESCE(t.name, ''), d.enabled, d.max_mailboxes, d.max_aliases,
       d.default_quota_bytes, d.default_quota_messages, d.created_at, d.updated_at
  FROM domains d LEFT JOIN domains t ON t.id = d.alias_of`

	selectDomain = domainColumns + ` WHERE d.name = ?1`

	listDomains = domainColumns + `
 WHERE d.name > ?1
   AND (?2 = '' OR t.name = ?2)
   AND (?3 = '' OR instr(d.name, ?3) > 0)
   AND (?4 < 0 OR d.enabled = ?4)
 ORDER BY d.name LIMIT ?5`

	insertDomain = `
INSERT INTO domains (name, kind, alias_of, alias_of_kind, enabled, max_mailboxes, max_aliases,
                     default_quota_bytes, default_quota_messages, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	updateDomain = `
UPDATE domains SET enabled = ?2, max_mailboxes = ?3, max_aliases = ?4, default_quota_bytes = ?5,
       default_quota_messages = ?6, updated_at = ?7
 WHERE id = ?1`

	deleteDomain   = `DELETE FROM domains WHERE id = ?`
	countAddresses = `SELECT count(*) FROM addresses WHERE domain_id = ?`
	countOfKind    = `SELECT count(*) FROM addresses WHERE domain_id = ? AND kind = ?`
	countAliasesOf = `SELECT count(*) FROM domains WHERE alias_of = ?`
	countDomains   = `SELECT count(*) FROM domains`
	countByKind    = `SELECT kind, count(*) FROM addresses GROUP BY kind`
	selectKinds    = `SELECT kind FROM addresses WHERE address = ?`
	deleteAddress  = `DELETE FROM addresses WHERE id = ?`
	selectEntry    = `
SELECT a.kind, COALESCE(m.home, ''), COALESCE(m.enabled, 0), COALESCE(r.moved_to, ''), t.target
  FROM addresses a
  LEFT JOIN mailboxes m ON m.address_id = a.id
  LEFT JOIN relocated r ON r.address_id = a.id
  LEFT JOIN alias_targets t ON t.address_id = a.id
 WHERE a.address = ?1
 ORDER BY a.kind, t.position`
	touchAddress   = `UPDATE addresses SET updated_at = ?2 WHERE id = ?1`
	insertAddress  = `INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)`
	mailboxColumns = `
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       EXISTS (SELECT 1 FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), a.created_at, a.updated_at
  FROM addresses a JOIN mailboxes m ON m.address_id = a.id`

	selectMailbox = mailboxColumns + ` WHERE a.address = ?1`

	// Conditions on the address that all three listings share; the index on
	// (kind, address) or (domain_id, kind, address) gives the order.
	addressFilter = `
   AND a.address > ?1
   AND (?2 = '' OR a.domain_id = (SELECT id FROM domains WHERE name = ?2))
   AND (?3 = '' OR instr(a.address, ?3) > 0)`

	listMailboxes = mailboxColumns + ` WHERE a.kind = 'mailbox'` + addressFilter + `
   AND (?4 < 0 OR m.enabled = ?4)
 ORDER BY a.address LIMIT ?5`

	insertMailbox = `
INSERT INTO mailboxes (address_id, home, password_hash, quota_bytes, quota_messages, enabled, credential)
VALUES (?, ?, ?, ?, ?, ?, hex(randomblob(16)))`

	// Another password is another credential: it ends the open sessions.
	selectHome = `
SELECT a.address, m.home FROM mailboxes m JOIN addresses a ON a.id = m.address_id WHERE m.home = ?1 AND m.address_id <> ?2`
	selectHomesIn = `
SELECT a.address, m.home FROM mailboxes m JOIN addresses a ON a.id = m.address_id
 WHERE m.home > ?1 AND m.home < ?2 AND m.address_id <> ?3 LIMIT 1`

	updateMailbox = `
UPDATE mailboxes SET password_hash = COALESCE(?2, password_hash), quota_bytes = ?3, quota_messages = ?4, enabled = ?5, home = ?6,
       credential = CASE WHEN ?2 IS NULL THEN credential ELSE hex(randomblob(16)) END
 WHERE address_id = ?1`

	replaceHash = `UPDATE mailboxes SET password_hash = ?3 WHERE home = ?1 AND password_hash = ?2`

	aliasRows = `
SELECT a.id, a.address, a.created_at, a.updated_at,
       EXISTS (SELECT 1 FROM addresses x WHERE x.address = a.address AND x.kind = 'mailbox'), t.target
  FROM (SELECT id, address, created_at, updated_at FROM addresses a WHERE a.kind = 'alias'`

	aliasTargets = `) a LEFT JOIN alias_targets t ON t.address_id = a.id ORDER BY a.address, t.position`

	selectAlias = aliasRows + ` AND a.address = ?1` + aliasTargets

	listAliases = aliasRows + addressFilter + `
   AND (?4 = '' OR EXISTS (SELECT 1 FROM alias_targets x WHERE x.address_id = a.id AND lower(x.target) = ?4))
 ORDER BY a.address LIMIT ?5` + aliasTargets

	// The aliases with a target, as far as a person reads them.
	selectAliasesTo = `
SELECT DISTINCT a.address FROM alias_targets t JOIN addresses a ON a.id = t.address_id
 WHERE lower(t.target) = ?1 ORDER BY a.address LIMIT 20`

	insertAlias   = `INSERT INTO aliases (address_id) VALUES (?)`
	insertTarget  = `INSERT INTO alias_targets (address_id, position, target) VALUES (?, ?, ?)`
	deleteTargets = `DELETE FROM alias_targets WHERE address_id = ?`

	relocatedColumns = `
SELECT a.id, a.address, r.moved_to, a.created_at, a.updated_at
  FROM addresses a JOIN relocated r ON r.address_id = a.id`

	selectRelocated = relocatedColumns + ` WHERE a.address = ?1`

	listRelocated = relocatedColumns + ` WHERE a.kind = 'relocated'` + addressFilter + `
 ORDER BY a.address LIMIT ?4`

	insertRelocated = `INSERT INTO relocated (address_id, moved_to) VALUES (?, ?)`
	updateRelocated = `UPDATE relocated SET moved_to = ?2 WHERE address_id = ?1`

	tokenColumns = `SELECT id, name, role, created_at, expires_at, last_used_at FROM api_tokens`
	listTokens   = tokenColumns + ` ORDER BY name LIMIT 1000`
	selectToken  = tokenColumns + ` WHERE name = ?`
	findToken    = tokenColumns + ` WHERE token_hash = ?`
	insertToken  = `INSERT INTO api_tokens (name, token_hash, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`
	deleteToken  = `DELETE FROM api_tokens WHERE id = ?`
	touchToken   = `UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1`

	insertAudit = `INSERT INTO audit (at, actor, action, object, name, before_json, after_json) VALUES (?, ?, ?, ?, ?, ?, ?)`

	// Newest first.
	listAudit = `
SELECT id, at, actor, action, object, name, before_json, after_json FROM audit
 WHERE (?1 = 0 OR id < ?1) AND (?2 = '' OR object = ?2) AND (?3 = '' OR name = ?3)
 ORDER BY id DESC LIMIT ?4`
)
