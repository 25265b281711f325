-- The queries of admin/store. Columns are always listed, so that a column that
-- a later schema adds changes nothing.
--
-- Listings are pages in the order of their names: ?1 is the last of the page
-- before, ?2 a part of the name, '' for all, ?3 the most rows. What else selects
-- has a text of its own where it needs another index.

-- Domains.

-- name: domain-by-name
SELECT d.id, d.name, COALESCE(t.name, ''), d.enabled, d.max_mailboxes, d.max_aliases,
       d.default_quota_bytes, d.default_quota_messages, d.created_at, d.updated_at
  FROM domains d LEFT JOIN domains t ON t.id = d.alias_of
 WHERE d.name = ?1

-- ?4 is 1, 0, or -1 for enabled or not.
-- name: list-domains
SELECT d.id, d.name, COALESCE(t.name, ''), d.enabled, d.max_mailboxes, d.max_aliases,
       d.default_quota_bytes, d.default_quota_messages, d.created_at, d.updated_at
  FROM domains d LEFT JOIN domains t ON t.id = d.alias_of
 WHERE d.name > ?1 AND (?2 = '' OR instr(d.name, ?2) > 0) AND (?4 < 0 OR d.enabled = (?4 > 0))
 ORDER BY d.name LIMIT ?3

-- Those that stand for ?5.
-- name: list-domains-standing-for
SELECT d.id, d.name, COALESCE(t.name, ''), d.enabled, d.max_mailboxes, d.max_aliases,
       d.default_quota_bytes, d.default_quota_messages, d.created_at, d.updated_at
  FROM domains d LEFT JOIN domains t ON t.id = d.alias_of
 WHERE d.alias_of = (SELECT id FROM domains WHERE name = ?5)
   AND d.name > ?1 AND (?2 = '' OR instr(d.name, ?2) > 0) AND (?4 < 0 OR d.enabled = (?4 > 0))
 ORDER BY d.name LIMIT ?3

-- Those of the JSON array ?5.
-- name: list-domains-in-scope
SELECT d.id, d.name, COALESCE(t.name, ''), d.enabled, d.max_mailboxes, d.max_aliases,
       d.default_quota_bytes, d.default_quota_messages, d.created_at, d.updated_at
  FROM domains d LEFT JOIN domains t ON t.id = d.alias_of
 WHERE d.name IN (SELECT value FROM json_each(?5))
   AND d.name > ?1 AND (?2 = '' OR instr(d.name, ?2) > 0) AND (?4 < 0 OR d.enabled = (?4 > 0))
 ORDER BY d.name LIMIT ?3

-- name: insert-domain
INSERT INTO domains (name, kind, alias_of, alias_of_kind, enabled, max_mailboxes, max_aliases,
                     default_quota_bytes, default_quota_messages, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)

-- name: update-domain
UPDATE domains SET enabled = ?2, max_mailboxes = ?3, max_aliases = ?4, default_quota_bytes = ?5,
       default_quota_messages = ?6, updated_at = ?7
 WHERE id = ?1

-- name: delete-domain
DELETE FROM domains WHERE id = ?1

-- name: count-standing-for
SELECT count(*) FROM domains WHERE alias_of = ?1

-- name: count-addresses
SELECT count(*) FROM addresses WHERE domain_id = ?1

-- name: count-of-kind
SELECT count(*) FROM addresses WHERE domain_id = ?1 AND kind = ?2

-- Triggers keep these.
-- name: hosted-counts
SELECT kind, n FROM hosted_counts WHERE kind IN ('domain', 'mailbox', 'alias', 'relocated')

-- Addresses.

-- name: kinds-of-address
SELECT kind FROM addresses WHERE address = ?1

-- Of those of the JSON array ?1.
-- name: kinds-of-many-addresses
SELECT address, kind FROM addresses WHERE address IN (SELECT value FROM json_each(?1))

-- name: entry-of-address
SELECT a.kind, COALESCE(m.home, ''), COALESCE(m.enabled, FALSE), COALESCE(r.moved_to, ''), t.target
  FROM addresses a
  LEFT JOIN mailboxes m ON m.address_id = a.id
  LEFT JOIN relocated r ON r.address_id = a.id
  LEFT JOIN alias_targets t ON t.address_id = a.id
 WHERE a.address = ?1
 ORDER BY a.kind, t.position

-- name: insert-address
INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)

-- Those of the JSON array ?1: address, domain, local part, kind.
-- name: insert-addresses
INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at)
SELECT value->>0, value->>1, value->>2, value->>3, ?2, ?2 FROM json_each(?1)

-- name: touch-address
UPDATE addresses SET updated_at = ?2 WHERE id = ?1

-- name: delete-address
DELETE FROM addresses WHERE id = ?1

-- Mailboxes.

-- name: mailbox-by-address
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), FALSE), a.created_at, a.updated_at
  FROM addresses a JOIN mailboxes m ON m.address_id = a.id
 WHERE a.address = ?1

-- ?4 is 1 or -1 for enabled or not; 0 has list-mailboxes-disabled.
-- name: list-mailboxes
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), FALSE), a.created_at, a.updated_at
  FROM addresses a JOIN mailboxes m ON m.address_id = a.id
 WHERE a.kind = 'mailbox'
   AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0) AND (?4 < 0 OR m.enabled = (?4 > 0))
 ORDER BY a.address LIMIT ?3

-- Those of the domain ?5.
-- name: list-mailboxes-of-domain
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), FALSE), a.created_at, a.updated_at
  FROM addresses a JOIN mailboxes m ON m.address_id = a.id
 WHERE a.domain_id = (SELECT id FROM domains WHERE name = ?5) AND a.kind = 'mailbox'
   AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0) AND (?4 < 0 OR m.enabled = (?4 > 0))
 ORDER BY a.address LIMIT ?3

-- Those of the domains of the JSON array ?5.
-- name: list-mailboxes-in-scope
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), FALSE), a.created_at, a.updated_at
  FROM addresses a JOIN mailboxes m ON m.address_id = a.id
 WHERE a.domain_id IN (SELECT d.id FROM domains d WHERE d.name IN (SELECT value FROM json_each(?5))) AND a.kind = 'mailbox'
   AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0) AND (?4 < 0 OR m.enabled = (?4 > 0))
 ORDER BY a.address LIMIT ?3

-- Those that are disabled, which are few: of the domain ?4, '' for all, and of the
-- domains of the JSON array ?5, '' for all.
-- name: list-mailboxes-disabled
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), FALSE), a.created_at, a.updated_at
  FROM mailboxes m JOIN addresses a ON a.id = m.address_id
 WHERE m.enabled = 0
   AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
   AND (?4 = '' OR a.domain_id = (SELECT id FROM domains WHERE name = ?4))
   AND (?5 = '' OR a.domain_id IN (SELECT d.id FROM domains d WHERE d.name IN (SELECT value FROM json_each(?5))))
 ORDER BY a.address LIMIT ?3

-- name: mailbox-at-home
SELECT a.address, m.home FROM mailboxes m JOIN addresses a ON a.id = m.address_id WHERE m.home = ?1 AND m.address_id <> ?2

-- name: mailbox-at-home-between
SELECT a.address, m.home FROM mailboxes m JOIN addresses a ON a.id = m.address_id
 WHERE m.home > ?1 AND m.home < ?2 AND m.address_id <> ?3 LIMIT 1

-- name: insert-mailbox
INSERT INTO mailboxes (address_id, home, password_hash, quota_bytes, quota_messages, enabled, credential)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)

-- Another password is another credential: it ends the open sessions.
-- name: update-mailbox
UPDATE mailboxes SET password_hash = COALESCE(?2, password_hash), quota_bytes = ?3, quota_messages = ?4, enabled = ?5, home = ?6,
       credential = CASE WHEN ?2 IS NULL THEN credential ELSE ?7 END
 WHERE address_id = ?1

-- name: replace-hash
UPDATE mailboxes SET password_hash = ?3 WHERE home = ?1 AND password_hash = ?2

-- Aliases: a row for each target.

-- name: alias-by-address
SELECT a.id, a.address, a.created_at, a.updated_at,
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'mailbox'), FALSE), t.target
  FROM addresses a LEFT JOIN alias_targets t ON t.address_id = a.id
 WHERE a.address = ?1 AND a.kind = 'alias'
 ORDER BY t.position

-- name: list-aliases
SELECT page.id, page.address, page.created_at, page.updated_at,
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = page.address AND x.kind = 'mailbox'), FALSE), t.target
  FROM (SELECT a.id, a.address, a.created_at, a.updated_at FROM addresses a
         WHERE a.kind = 'alias'
           AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
         ORDER BY a.address LIMIT ?3) page
  LEFT JOIN alias_targets t ON t.address_id = page.id
 ORDER BY page.address, t.position

-- Those of the domain ?4.
-- name: list-aliases-of-domain
SELECT page.id, page.address, page.created_at, page.updated_at,
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = page.address AND x.kind = 'mailbox'), FALSE), t.target
  FROM (SELECT a.id, a.address, a.created_at, a.updated_at FROM addresses a
         WHERE a.domain_id = (SELECT id FROM domains WHERE name = ?4) AND a.kind = 'alias'
           AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
         ORDER BY a.address LIMIT ?3) page
  LEFT JOIN alias_targets t ON t.address_id = page.id
 ORDER BY page.address, t.position

-- Those of the domains of the JSON array ?4.
-- name: list-aliases-in-scope
SELECT page.id, page.address, page.created_at, page.updated_at,
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = page.address AND x.kind = 'mailbox'), FALSE), t.target
  FROM (SELECT a.id, a.address, a.created_at, a.updated_at FROM addresses a
         WHERE a.domain_id IN (SELECT d.id FROM domains d WHERE d.name IN (SELECT value FROM json_each(?4))) AND a.kind = 'alias'
           AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
         ORDER BY a.address LIMIT ?3) page
  LEFT JOIN alias_targets t ON t.address_id = page.id
 ORDER BY page.address, t.position

-- Those with the target ?4, of the domain ?5, '' for all, and of the domains of
-- the JSON array ?6, '' for all.
-- name: list-aliases-with-target
SELECT page.id, page.address, page.created_at, page.updated_at,
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = page.address AND x.kind = 'mailbox'), FALSE), t.target
  FROM (SELECT a.id, a.address, a.created_at, a.updated_at FROM addresses a
         WHERE a.id IN (SELECT s.address_id FROM alias_targets s WHERE lower(s.target) = ?4)
           AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
           AND (?5 = '' OR a.domain_id = (SELECT id FROM domains WHERE name = ?5))
           AND (?6 = '' OR a.domain_id IN (SELECT d.id FROM domains d WHERE d.name IN (SELECT value FROM json_each(?6))))
         ORDER BY a.address LIMIT ?3) page
  LEFT JOIN alias_targets t ON t.address_id = page.id
 ORDER BY page.address, t.position

-- As far as a person reads them.
-- name: aliases-to
SELECT DISTINCT a.address FROM alias_targets t JOIN addresses a ON a.id = t.address_id
 WHERE lower(t.target) = ?1 ORDER BY a.address LIMIT 20

-- name: insert-alias
INSERT INTO aliases (address_id) VALUES (?1)

-- Those of the JSON array ?1 of targets: address, position, target. The number is
-- asked in a SELECT of its own: joined, SQLite reads through all addresses of the kind.
-- name: insert-aliases
INSERT INTO aliases (address_id)
SELECT (SELECT id FROM addresses WHERE address = value->>0 AND kind = 'alias') FROM json_each(?1) WHERE value->>1 = 0

-- name: insert-targets
INSERT INTO alias_targets (address_id, position, target)
SELECT (SELECT id FROM addresses WHERE address = value->>0 AND kind = 'alias'), value->>1, value->>2 FROM json_each(?1)

-- name: insert-target
INSERT INTO alias_targets (address_id, position, target) VALUES (?1, ?2, ?3)

-- name: delete-targets
DELETE FROM alias_targets WHERE address_id = ?1

-- Relocated addresses.

-- name: relocated-by-address
SELECT a.id, a.address, r.moved_to, a.created_at, a.updated_at
  FROM addresses a JOIN relocated r ON r.address_id = a.id
 WHERE a.address = ?1

-- name: list-relocated
SELECT a.id, a.address, r.moved_to, a.created_at, a.updated_at
  FROM addresses a JOIN relocated r ON r.address_id = a.id
 WHERE a.kind = 'relocated'
   AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
 ORDER BY a.address LIMIT ?3

-- Those of the domain ?4.
-- name: list-relocated-of-domain
SELECT a.id, a.address, r.moved_to, a.created_at, a.updated_at
  FROM addresses a JOIN relocated r ON r.address_id = a.id
 WHERE a.domain_id = (SELECT id FROM domains WHERE name = ?4) AND a.kind = 'relocated'
   AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
 ORDER BY a.address LIMIT ?3

-- Those of the domains of the JSON array ?4.
-- name: list-relocated-in-scope
SELECT a.id, a.address, r.moved_to, a.created_at, a.updated_at
  FROM addresses a JOIN relocated r ON r.address_id = a.id
 WHERE a.domain_id IN (SELECT d.id FROM domains d WHERE d.name IN (SELECT value FROM json_each(?4))) AND a.kind = 'relocated'
   AND a.address > ?1 AND (?2 = '' OR instr(a.address, ?2) > 0)
 ORDER BY a.address LIMIT ?3

-- name: insert-relocated
INSERT INTO relocated (address_id, moved_to) VALUES (?1, ?2)

-- Those of the JSON array ?1: address, new place.
-- name: insert-many-relocated
INSERT INTO relocated (address_id, moved_to)
SELECT (SELECT id FROM addresses WHERE address = value->>0 AND kind = 'relocated'), value->>1 FROM json_each(?1)

-- name: update-relocated
UPDATE relocated SET moved_to = ?2 WHERE address_id = ?1

-- Tokens.

-- name: list-tokens
SELECT id, name, role, created_at, expires_at, last_used_at FROM api_tokens WHERE name > '' ORDER BY name LIMIT 1000

-- name: token-by-name
SELECT id, name, role, created_at, expires_at, last_used_at FROM api_tokens WHERE name = ?1

-- name: token-by-hash
SELECT id, name, role, created_at, expires_at, last_used_at FROM api_tokens WHERE token_hash = ?1

-- name: insert-token
INSERT INTO api_tokens (name, token_hash, role, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)

-- name: delete-token
DELETE FROM api_tokens WHERE id = ?1

-- name: touch-token
UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1

-- The audit. Listings are newest first, from before ?1; ?2 is the most rows.

-- name: insert-audit
INSERT INTO audit (at, actor, action, object, name, before_json, after_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)

-- Those of the JSON array ?1: action, object, name, before, after.
-- name: insert-many-audit
INSERT INTO audit (at, actor, action, object, name, before_json, after_json)
SELECT ?2, ?3, value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?1)

-- name: list-audit
SELECT id, at, actor, action, object, name, before_json, after_json FROM audit
 WHERE id < ?1 ORDER BY id DESC LIMIT ?2

-- name: list-audit-of-object
SELECT id, at, actor, action, object, name, before_json, after_json FROM audit
 WHERE object = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2

-- Of any kind of object.
-- name: list-audit-of-name
SELECT id, at, actor, action, object, name, before_json, after_json FROM audit
 WHERE object IN ('domain', 'mailbox', 'alias', 'relocated', 'token', 'job', 'queue') AND name = ?3 AND id < ?1
 ORDER BY id DESC LIMIT ?2

-- name: list-audit-of-object-and-name
SELECT id, at, actor, action, object, name, before_json, after_json FROM audit
 WHERE object = ?3 AND name = ?4 AND id < ?1 ORDER BY id DESC LIMIT ?2

-- Of the oldest ?2 those before the time ?1.
-- name: trim-audit-by-age
DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id > 0 ORDER BY id LIMIT ?2) AND at < ?1

-- The oldest ?2 of those beyond the newest ?1.
-- name: trim-audit-by-rows
DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id > 0 AND id <= (SELECT max(id) FROM audit) - ?1 ORDER BY id LIMIT ?2)

-- Jobs.

-- name: job-by-id
SELECT id, kind, object, input_json, actor, state, total, done, unchanged, failed, errors, error, created_at, started_at, ended_at
  FROM jobs WHERE id = ?1

-- name: list-jobs
SELECT id, kind, object, input_json, actor, state, total, done, unchanged, failed, errors, error, created_at, started_at, ended_at
  FROM jobs WHERE id < ?1 ORDER BY id DESC LIMIT ?2

-- name: list-open-jobs
SELECT id, kind, object, input_json, actor, state, total, done, unchanged, failed, errors, error, created_at, started_at, ended_at
  FROM jobs WHERE state IN ('waiting', 'running', 'cancelling') ORDER BY id

-- name: count-open-jobs
SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running', 'cancelling')

-- name: insert-job
INSERT INTO jobs (kind, object, input_json, actor, state, created_at) VALUES (?1, ?2, ?3, ?4, 'waiting', ?5)

-- name: forget-jobs
DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND id <= (SELECT max(id) FROM jobs) - ?1

-- name: cancel-job
UPDATE jobs SET state = CASE state WHEN 'waiting' THEN 'cancelled' ELSE 'cancelling' END,
       ended_at = CASE state WHEN 'waiting' THEN CAST(?2 AS BIGINT) ELSE 0 END
 WHERE id = ?1

-- name: progress-job
UPDATE jobs SET state = CASE WHEN state = 'cancelling' AND ?2 = 'running' THEN state ELSE ?2 END,
       total = ?3, done = ?4, unchanged = ?5, failed = ?6, errors = ?7, error = ?8, started_at = ?9, ended_at = ?10
 WHERE id = ?1 AND state NOT IN ('done', 'failed', 'cancelled')

-- The last log-ins.

-- name: upsert-login
INSERT INTO last_logins (address, service, client, at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (address, service) DO UPDATE SET client = excluded.client, at = excluded.at WHERE last_logins.at <= excluded.at

-- name: logins-of-mailbox
SELECT service, client, at FROM last_logins WHERE address = ?1 ORDER BY at DESC

-- name: delete-logins
DELETE FROM last_logins WHERE address = ?1

-- name: delete-logins-of-domain
DELETE FROM last_logins WHERE address IN (SELECT address FROM addresses WHERE domain_id = ?1)
