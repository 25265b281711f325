-- Hosted data. Writers use the tables, readers of mail services the views.
-- Times are milliseconds since 1970 UTC. Booleans are 0 and 1.

CREATE TABLE domains (
    id                     INTEGER PRIMARY KEY,
    name                   TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255 AND name = lower(name)),
    kind                   TEXT    NOT NULL CHECK (kind IN ('hosted', 'alias')),
    -- An alias domain stands for a hosted one, never for another alias: the
    -- pair (alias_of, alias_of_kind) must be a hosted domain.
    alias_of               INTEGER,
    alias_of_kind          TEXT    CHECK (alias_of_kind = 'hosted'),
    enabled                INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    -- Limits; 0 is unlimited.
    max_mailboxes          INTEGER NOT NULL DEFAULT 0 CHECK (max_mailboxes >= 0),
    max_aliases            INTEGER NOT NULL DEFAULT 0 CHECK (max_aliases >= 0),
    -- What a new mailbox gets when nothing else is said; 0 is unlimited.
    default_quota_bytes    INTEGER NOT NULL DEFAULT 0 CHECK (default_quota_bytes >= 0),
    default_quota_messages INTEGER NOT NULL DEFAULT 0 CHECK (default_quota_messages >= 0),
    created_at             INTEGER NOT NULL,
    updated_at             INTEGER NOT NULL,
    UNIQUE (id, kind),
    FOREIGN KEY (alias_of, alias_of_kind) REFERENCES domains (id, kind),
    CHECK ((kind = 'alias') = (alias_of IS NOT NULL)),
    CHECK ((alias_of IS NULL) = (alias_of_kind IS NULL))
);
CREATE INDEX domains_alias_of ON domains (alias_of);

-- Every address of a hosted domain, whatever it is. An address is one thing
-- only: the kind is part of the key that the tables below refer to.
CREATE TABLE addresses (
    id          INTEGER PRIMARY KEY,
    -- The folded address as text, quoted where its syntax needs it; "@domain"
    -- for a catch-all.
    address     TEXT    NOT NULL UNIQUE CHECK (length(address) BETWEEN 2 AND 256),
    domain_id   INTEGER NOT NULL,
    domain_kind TEXT    NOT NULL DEFAULT 'hosted' CHECK (domain_kind = 'hosted'),
    -- The folded local part without quotes, '' for a catch-all.
    local       TEXT    NOT NULL CHECK (length(local) <= 64),
    kind        TEXT    NOT NULL CHECK (kind IN ('mailbox', 'alias', 'relocated')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (domain_id, local),
    UNIQUE (id, kind),
    FOREIGN KEY (domain_id, domain_kind) REFERENCES domains (id, kind) ON DELETE CASCADE,
    CHECK (local <> '' OR kind = 'alias')
);
-- Listings of one kind, of one domain or of all, in address order.
CREATE INDEX addresses_listing ON addresses (kind, address);
CREATE INDEX addresses_listing_domain ON addresses (domain_id, kind, address);

CREATE TABLE mailboxes (
    address_id     INTEGER PRIMARY KEY,
    kind           TEXT    NOT NULL DEFAULT 'mailbox' CHECK (kind = 'mailbox'),
    -- Folder below the store's root. Two mailboxes never share one.
    home           TEXT    NOT NULL UNIQUE CHECK (home <> ''),
    password_hash  TEXT    NOT NULL,
    quota_bytes    INTEGER NOT NULL DEFAULT 0 CHECK (quota_bytes >= 0),
    quota_messages INTEGER NOT NULL DEFAULT 0 CHECK (quota_messages >= 0),
    enabled        INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    FOREIGN KEY (address_id, kind) REFERENCES addresses (id, kind) ON DELETE CASCADE
);

CREATE TABLE aliases (
    address_id INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL DEFAULT 'alias' CHECK (kind = 'alias'),
    FOREIGN KEY (address_id, kind) REFERENCES addresses (id, kind) ON DELETE CASCADE
);

CREATE TABLE alias_targets (
    address_id INTEGER NOT NULL REFERENCES aliases (address_id) ON DELETE CASCADE,
    -- Order as given, from 0.
    position   INTEGER NOT NULL CHECK (position >= 0),
    target     TEXT    NOT NULL CHECK (target <> ''),
    PRIMARY KEY (address_id, position),
    UNIQUE (address_id, target)
);

CREATE TABLE relocated (
    address_id INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL DEFAULT 'relocated' CHECK (kind = 'relocated'),
    moved_to   TEXT    NOT NULL CHECK (moved_to <> ''),
    FOREIGN KEY (address_id, kind) REFERENCES addresses (id, kind) ON DELETE CASCADE
);

CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE CHECK (name <> ''),
    -- SHA-256 of the token, hexadecimal. The token itself is kept nowhere; it
    -- has 256 random bits, so a slow hash would add nothing.
    token_hash   TEXT    NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    role         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    -- 0 is never.
    expires_at   INTEGER NOT NULL DEFAULT 0,
    last_used_at INTEGER NOT NULL DEFAULT 0
);

-- Who changed what. Rows are never changed or removed by the program.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    object      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    -- JSON without passwords and hashes, '' when there was or is nothing.
    before_json TEXT    NOT NULL DEFAULT '',
    after_json  TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX audit_object ON audit (object, name, id);

-- What a mail service may ask. "real" is the hosted domain behind a name.

CREATE VIEW directory_domains AS
SELECT d.name                                AS name,
       COALESCE(t.name, '')                  AS alias_of,
       d.enabled * COALESCE(t.enabled, 1)    AS enabled,
       COALESCE(d.alias_of, d.id)            AS real_id,
       COALESCE(t.name, d.name)              AS real_name
  FROM domains d
  LEFT JOIN domains t ON t.id = d.alias_of;

CREATE VIEW directory_recipients AS
SELECT a.domain_id                  AS real_id,
       a.local                      AS local,
       a.id                         AS address_id,
       a.kind                       AS kind,
       COALESCE(m.home, '')         AS home,
       COALESCE(m.quota_bytes, 0)   AS quota_bytes,
       COALESCE(m.quota_messages, 0) AS quota_messages,
       COALESCE(m.enabled, 0)       AS enabled,
       COALESCE(r.moved_to, '')     AS moved_to
  FROM addresses a
  LEFT JOIN mailboxes m ON m.address_id = a.id
  LEFT JOIN relocated r ON r.address_id = a.id;

CREATE VIEW directory_targets AS
SELECT address_id, position, target FROM alias_targets;

CREATE VIEW directory_accounts AS
SELECT a.domain_id      AS real_id,
       a.local          AS local,
       m.home           AS home,
       m.quota_bytes    AS quota_bytes,
       m.quota_messages AS quota_messages,
       m.enabled        AS enabled,
       m.password_hash  AS password_hash
  FROM mailboxes m
  JOIN addresses a ON a.id = m.address_id;
