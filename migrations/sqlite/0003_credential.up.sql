-- What a log-in was good for: another value when the mailbox is made anew or
-- its password changes, the same when the hash of that password is replaced.
-- A session that is open ends when it finds another than its own.

ALTER TABLE mailboxes ADD COLUMN credential TEXT NOT NULL DEFAULT '';
UPDATE mailboxes SET credential = hex(randomblob(16));

DROP VIEW directory_accounts;
CREATE VIEW directory_accounts AS
SELECT a.domain_id      AS real_id,
       a.local          AS local,
       m.home           AS home,
       m.quota_bytes    AS quota_bytes,
       m.quota_messages AS quota_messages,
       m.enabled        AS enabled,
       m.password_hash  AS password_hash,
       m.credential     AS credential
  FROM mailboxes m
  JOIN addresses a ON a.id = m.address_id;
