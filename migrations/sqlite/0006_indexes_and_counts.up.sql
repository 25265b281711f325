-- No listing of the administration reads a table through: indexes for what it
-- selects by, and counts that need not be counted.

DROP INDEX domains_alias_of;
CREATE INDEX domains_alias_of ON domains (alias_of, name);

-- Disabled mailboxes are few.
CREATE INDEX mailboxes_disabled ON mailboxes (enabled, address_id) WHERE enabled = 0;

-- Targets are compared without case.
CREATE INDEX alias_targets_target ON alias_targets (lower(target), address_id);

-- The newest changes of one kind of object.
CREATE INDEX audit_of_object ON audit (object, id);

-- How many domains there are, and addresses of each kind. The triggers also see
-- what goes with a domain.
CREATE TABLE hosted_counts (
    kind TEXT    NOT NULL PRIMARY KEY CHECK (kind IN ('domain', 'mailbox', 'alias', 'relocated')),
    n    INTEGER NOT NULL CHECK (n >= 0)
) WITHOUT ROWID;
INSERT INTO hosted_counts (kind, n)
SELECT 'domain', (SELECT count(*) FROM domains) UNION ALL
SELECT 'mailbox', (SELECT count(*) FROM addresses WHERE kind = 'mailbox') UNION ALL
SELECT 'alias', (SELECT count(*) FROM addresses WHERE kind = 'alias') UNION ALL
SELECT 'relocated', (SELECT count(*) FROM addresses WHERE kind = 'relocated');

CREATE TRIGGER domains_count_new AFTER INSERT ON domains
BEGIN
    UPDATE hosted_counts SET n = n + 1 WHERE kind = 'domain';
END;
CREATE TRIGGER domains_count_old AFTER DELETE ON domains
BEGIN
    UPDATE hosted_counts SET n = n - 1 WHERE kind = 'domain';
END;
CREATE TRIGGER addresses_count_new AFTER INSERT ON addresses
BEGIN
    UPDATE hosted_counts SET n = n + 1 WHERE kind = NEW.kind;
END;
CREATE TRIGGER addresses_count_old AFTER DELETE ON addresses
BEGIN
    UPDATE hosted_counts SET n = n - 1 WHERE kind = OLD.kind;
END;
