-- The id of the installation that this database belongs to, at most one: the
-- mail store and the queue carry the same, so that a wrong volume is noticed.

CREATE TABLE instance (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL CHECK (id <> '')
);

CREATE VIEW directory_instance AS SELECT id FROM instance;
