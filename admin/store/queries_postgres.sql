-- What PostgreSQL says in its own way: arrays that come as JSON, and the partial index of
-- those that are disabled.

-- name: list-domains-in-scope
SELECT d.id, d.name, COALESCE(t.name, ''), d.enabled, d.max_mailboxes, d.max_aliases,
       d.default_quota_bytes, d.default_quota_messages, d.created_at, d.updated_at
  FROM domains d LEFT JOIN domains t ON t.id = d.alias_of
 WHERE d.name = ANY (ARRAY(SELECT jsonb_array_elements_text(NULLIF(?5::text, '')::jsonb)))
   AND d.name > ?1 AND (?2::text = '' OR instr(d.name, ?2) > 0) AND (?4 < 0 OR d.enabled = (?4 > 0))
 ORDER BY d.name LIMIT ?3

-- name: list-mailboxes-in-scope
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), FALSE), a.created_at, a.updated_at
  FROM addresses a JOIN mailboxes m ON m.address_id = a.id
 WHERE a.domain_id IN (SELECT d.id FROM domains d WHERE d.name = ANY (ARRAY(SELECT jsonb_array_elements_text(NULLIF(?5::text, '')::jsonb)))) AND a.kind = 'mailbox'
   AND a.address > ?1 AND (?2::text = '' OR instr(a.address, ?2) > 0) AND (?4 < 0 OR m.enabled = (?4 > 0))
 ORDER BY a.address LIMIT ?3

-- name: list-aliases-in-scope
SELECT page.id, page.address, page.created_at, page.updated_at,
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = page.address AND x.kind = 'mailbox'), FALSE), t.target
  FROM (SELECT a.id, a.address, a.created_at, a.updated_at FROM addresses a
         WHERE a.domain_id IN (SELECT d.id FROM domains d WHERE d.name = ANY (ARRAY(SELECT jsonb_array_elements_text(NULLIF(?4::text, '')::jsonb)))) AND a.kind = 'alias'
           AND a.address > ?1 AND (?2::text = '' OR instr(a.address, ?2) > 0)
         ORDER BY a.address LIMIT ?3) page
  LEFT JOIN alias_targets t ON t.address_id = page.id
 ORDER BY page.address, t.position

-- name: list-relocated-in-scope
SELECT a.id, a.address, r.moved_to, a.created_at, a.updated_at
  FROM addresses a JOIN relocated r ON r.address_id = a.id
 WHERE a.domain_id IN (SELECT d.id FROM domains d WHERE d.name = ANY (ARRAY(SELECT jsonb_array_elements_text(NULLIF(?4::text, '')::jsonb)))) AND a.kind = 'relocated'
   AND a.address > ?1 AND (?2::text = '' OR instr(a.address, ?2) > 0)
 ORDER BY a.address LIMIT ?3

-- name: list-mailboxes-disabled
SELECT a.id, a.address, m.home, m.quota_bytes, m.quota_messages, m.enabled, m.password_hash <> '',
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = a.address AND x.kind = 'alias'), FALSE), a.created_at, a.updated_at
  FROM mailboxes m JOIN addresses a ON a.id = m.address_id
 WHERE NOT m.enabled
   AND a.address > ?1 AND (?2::text = '' OR instr(a.address, ?2) > 0)
   AND (?4::text = '' OR a.domain_id = (SELECT id FROM domains WHERE name = ?4))
   AND (?5::text = '' OR a.domain_id IN (SELECT d.id FROM domains d WHERE d.name = ANY (ARRAY(SELECT jsonb_array_elements_text(NULLIF(?5::text, '')::jsonb)))))
 ORDER BY a.address LIMIT ?3

-- name: list-aliases-with-target
SELECT page.id, page.address, page.created_at, page.updated_at,
       COALESCE((SELECT TRUE FROM addresses x WHERE x.address = page.address AND x.kind = 'mailbox'), FALSE), t.target
  FROM (SELECT a.id, a.address, a.created_at, a.updated_at FROM addresses a
         WHERE a.id IN (SELECT s.address_id FROM alias_targets s WHERE lower(s.target) = ?4)
           AND a.address > ?1 AND (?2::text = '' OR instr(a.address, ?2) > 0)
           AND (?5::text = '' OR a.domain_id = (SELECT id FROM domains WHERE name = ?5))
           AND (?6::text = '' OR a.domain_id IN (SELECT d.id FROM domains d WHERE d.name = ANY (ARRAY(SELECT jsonb_array_elements_text(NULLIF(?6::text, '')::jsonb)))))
         ORDER BY a.address LIMIT ?3) page
  LEFT JOIN alias_targets t ON t.address_id = page.id
 ORDER BY page.address, t.position

-- name: kinds-of-many-addresses
SELECT address, kind FROM addresses WHERE address = ANY (ARRAY(SELECT jsonb_array_elements_text(NULLIF(?1::text, '')::jsonb)))

-- name: insert-addresses
INSERT INTO addresses (address, domain_id, local, kind, created_at, updated_at)
SELECT v->>0, (v->>1)::bigint, v->>2, v->>3, ?2::bigint, ?2::bigint FROM jsonb_array_elements(?1::jsonb) v

-- name: insert-aliases
INSERT INTO aliases (address_id)
SELECT (SELECT id FROM addresses WHERE address = v->>0 AND kind = 'alias') FROM jsonb_array_elements(?1::jsonb) v WHERE (v->>1)::integer = 0

-- name: insert-targets
INSERT INTO alias_targets (address_id, position, target)
SELECT (SELECT id FROM addresses WHERE address = v->>0 AND kind = 'alias'), (v->>1)::integer, v->>2 FROM jsonb_array_elements(?1::jsonb) v

-- name: insert-many-relocated
INSERT INTO relocated (address_id, moved_to)
SELECT (SELECT id FROM addresses WHERE address = v->>0 AND kind = 'relocated'), v->>1 FROM jsonb_array_elements(?1::jsonb) v

-- name: insert-many-audit
INSERT INTO audit (at, actor, action, object, name, before_json, after_json)
SELECT ?2::bigint, ?3::text, v->>0, v->>1, v->>2, v->>3, v->>4 FROM jsonb_array_elements(?1::jsonb) v
