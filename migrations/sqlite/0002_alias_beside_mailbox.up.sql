-- An alias may stand beside a mailbox of the same address (forward, with or
-- without a copy). An address is thus a mailbox, an alias, both, or relocated.
-- SQLite cannot change a UNIQUE of a table, so the tables are made again.

DROP VIEW directory_accounts;
DROP VIEW directory_targets;
DROP VIEW directory_recipients;
DROP VIEW directory_domains;

CREATE TABLE new_addresses (
    id          INTEGER PRIMARY KEY,
    -- The folded address as text, quoted where its syntax needs it; "@domain"
    -- for a catch-all.
    address     TEXT    NOT NULL CHECK (length(address) BETWEEN 2 AND 256),
    domain_id   INTEGER NOT NULL,
    domain_kind TEXT    NOT NULL DEFAULT 'hosted' CHECK (domain_kind = 'hosted'),
    -- The folded local part without quotes, '' for a catch-all.
    local       TEXT    NOT NULL CHECK (length(local) <= 64),
    kind        TEXT    NOT NULL CHECK (kind IN ('mailbox', 'alias', 'relocated')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (address, kind),
    UNIQUE (domain_id, local, kind),
    UNIQUE (id, kind),
    FOREIGN KEY (domain_id, domain_kind) REFERENCES domains (id, kind) ON DELETE CASCADE,
    CHECK (local <> '' OR kind = 'alias')
);
CREATE TABLE new_mailboxes (
    address_id     INTEGER PRIMARY KEY,
    kind           TEXT    NOT NULL DEFAULT 'mailbox' CHECK (kind = 'mailbox'),
    -- Folder below the store's root. Two mailboxes never share one.
    home           TEXT    NOT NULL UNIQUE CHECK (home <> ''),
    password_hash  TEXT    NOT NULL,
    quota_bytes    INTEGER NOT NULL DEFAULT 0 CHECK (quota_bytes >= 0),
    quota_messages INTEGER NOT NULL DEFAULT 0 CHECK (quota_messages >= 0),
    enabled        INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    FOREIGN KEY (address_id, kind) REFERENCES new_addresses (id, kind) ON DELETE CASCADE
);
CREATE TABLE new_aliases (
    address_id INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL DEFAULT 'alias' CHECK (kind = 'alias'),
    FOREIGN KEY (address_id, kind) REFERENCES new_addresses (id, kind) ON DELETE CASCADE
);
CREATE TABLE new_alias_targets (
    address_id INTEGER NOT NULL REFERENCES new_aliases (address_id) ON DELETE CASCADE,
    -- Order as given, from 0.
    position   INTEGER NOT NULL CHECK (position >= 0),
    target     TEXT    NOT NULL CHECK (target <> ''),
    PRIMARY KEY (address_id, position),
    UNIQUE (address_id, target)
);
CREATE TABLE new_relocated (
    address_id INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL DEFAULT 'relocated' CHECK (kind = 'relocated'),
    moved_to   TEXT    NOT NULL CHECK (moved_to <> ''),
    FOREIGN KEY (address_id, kind) REFERENCES new_addresses (id, kind) ON DELETE CASCADE
);

INSERT INTO new_addresses (id, address, domain_id, domain_kind, local, kind, created_at, updated_at)
SELECT id, address, domain_id, domain_kind, local, kind, created_at, updated_at FROM addresses;
INSERT INTO new_mailboxes (address_id, kind, home, password_hash, quota_bytes, quota_messages, enabled)
SELECT address_id, kind, home, password_hash, quota_bytes, quota_messages, enabled FROM mailboxes;
INSERT INTO new_aliases (address_id, kind)
SELECT address_id, kind FROM aliases;
INSERT INTO new_alias_targets (address_id, position, target)
SELECT address_id, position, target FROM alias_targets;
INSERT INTO new_relocated (address_id, kind, moved_to)
SELECT address_id, kind, moved_to FROM relocated;

-- Children first: dropping a table deletes its rows, and those cascade.
DROP TABLE alias_targets;
DROP TABLE aliases;
DROP TABLE relocated;
DROP TABLE mailboxes;
DROP TABLE addresses;
ALTER TABLE new_addresses RENAME TO addresses;
ALTER TABLE new_mailboxes RENAME TO mailboxes;
ALTER TABLE new_aliases RENAME TO aliases;
ALTER TABLE new_alias_targets RENAME TO alias_targets;
ALTER TABLE new_relocated RENAME TO relocated;

CREATE INDEX addresses_listing ON addresses (kind, address);
CREATE INDEX addresses_listing_domain ON addresses (domain_id, kind, address);

-- Relocated goes with nothing else.
CREATE TRIGGER addresses_relocated_alone BEFORE INSERT ON addresses
WHEN EXISTS (SELECT 1 FROM addresses a WHERE a.address = NEW.address AND (a.kind = 'relocated' OR NEW.kind = 'relocated'))
BEGIN
    SELECT RAISE(ABORT, 'a relocated address is nothing else');
END;

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
