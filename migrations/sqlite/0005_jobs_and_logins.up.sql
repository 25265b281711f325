-- Long work, done in the background: it outlives the request and a restart.
CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    -- What it is about, for people.
    object     TEXT    NOT NULL,
    input_json TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled')),
    -- 0 while it is not known.
    total      INTEGER NOT NULL DEFAULT 0,
    done       INTEGER NOT NULL DEFAULT 0,
    unchanged  INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    -- A JSON array of the first failures; why the whole failed.
    errors     TEXT    NOT NULL DEFAULT '[]',
    error      TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    -- 0 is not yet.
    started_at INTEGER NOT NULL DEFAULT 0,
    ended_at   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_state ON jobs (state, id);

-- The last log-in of a mailbox by each service. No foreign key: it is written
-- lazily, and a mailbox that has gone meanwhile is no error.
CREATE TABLE last_logins (
    address TEXT    NOT NULL,
    service TEXT    NOT NULL,
    client  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (address, service)
) WITHOUT ROWID;
