DROP VIEW directory_accounts;
ALTER TABLE mailboxes DROP COLUMN credential;
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
