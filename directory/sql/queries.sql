-- What the mail services ask, of views and never of tables. Each answer has the id
-- of its database in front.

-- name: instance
SELECT COALESCE((SELECT id FROM directory_instance), '')

-- A row always comes: "not found" has an id, too.
-- name: domain
SELECT COALESCE((SELECT id FROM directory_instance), ''),
       (SELECT enabled FROM directory_domains WHERE name = ?1),
       (SELECT alias_of FROM directory_domains WHERE name = ?1)

-- A row for each target of an alias, then one for the mailbox beside it ('alias' <
-- 'mailbox').
-- name: address
SELECT COALESCE((SELECT id FROM directory_instance), ''), '', FALSE,
       r.local, r.kind, r.home, r.quota_bytes, r.quota_messages, r.enabled, r.moved_to, COALESCE(t.target, '')
  FROM directory_domains d
  JOIN directory_recipients r ON r.real_id = d.real_id AND r.local = ?2
  LEFT JOIN directory_targets t ON t.address_id = r.address_id
 WHERE d.name = ?1
 ORDER BY r.kind, t.position

-- The same for several locals: those of the first come first, and only its rows are
-- read. The order is whoever's who asks.
-- name: walk
SELECT COALESCE((SELECT id FROM directory_instance), ''), d.alias_of, d.enabled,
       r.local, r.kind, r.home, r.quota_bytes, r.quota_messages, r.enabled, r.moved_to, COALESCE(t.target, '')
  FROM directory_domains d
  JOIN directory_recipients r ON r.real_id = d.real_id AND r.local IN (?2, ?3, ?4)
  LEFT JOIN directory_targets t ON t.address_id = r.address_id
 WHERE d.name = ?1
 ORDER BY CASE r.local WHEN ?2 THEN 0 WHEN ?3 THEN 1 ELSE 2 END, r.kind, t.position

-- name: login
SELECT COALESCE((SELECT id FROM directory_instance), ''), a.home, a.quota_bytes, a.quota_messages, a.enabled, a.password_hash, a.credential
  FROM directory_domains d
  JOIN directory_accounts a ON a.real_id = d.real_id AND a.local = ?2
 WHERE d.name = ?1
