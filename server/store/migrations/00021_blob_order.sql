-- Blobs lie in the order of the log, each beside the record that names it: a key of digests alone, which are random,
-- makes the cost of a record grow with how many are stored. What several records name now lies beside each. A blob that
-- no item names is kept, of log ''. Neither engine reorders a table but by copying it.

-- +goose Up
CREATE TABLE blob_copy (
    org_id     TEXT   NOT NULL,
    log_id     TEXT   NOT NULL,
    idx        BIGINT NOT NULL,           -- of the record
    sha        BYTEA  NOT NULL,
    data       BYTEA,                     -- NULL once erased
    erased     BIGINT NOT NULL DEFAULT 0,
    erased_log TEXT   NOT NULL DEFAULT '',
    erased_idx BIGINT NOT NULL DEFAULT 0, -- of the entry that says so
    PRIMARY KEY (org_id, log_id, idx, sha)
);
INSERT INTO blob_copy (org_id, log_id, idx, sha, data, erased, erased_log, erased_idx)
    SELECT b.org_id, named.log_id, named.idx, b.sha, b.data, b.erased, b.erased_log, b.erased_idx
    FROM (SELECT org_id, log_id, idx, facts AS sha FROM item UNION SELECT org_id, log_id, idx, detail FROM item) named
    JOIN blob b ON b.org_id = named.org_id AND b.sha = named.sha
    ORDER BY b.org_id, named.log_id, named.idx;
INSERT INTO blob_copy (org_id, log_id, idx, sha, data, erased, erased_log, erased_idx)
    SELECT b.org_id, '', 0, b.sha, b.data, b.erased, b.erased_log, b.erased_idx
    FROM (SELECT org_id, sha FROM blob EXCEPT SELECT org_id, sha FROM blob_copy) unnamed
    JOIN blob b ON b.org_id = unnamed.org_id AND b.sha = unnamed.sha;
DROP TABLE blob;
ALTER TABLE blob_copy RENAME TO blob;

-- An agent owes a blob to each record that names it.
CREATE TABLE blob_want_copy (
    org_id   TEXT   NOT NULL,
    agent_id TEXT   NOT NULL,
    sha      BYTEA  NOT NULL,
    log_id   TEXT   NOT NULL,
    idx      BIGINT NOT NULL,
    PRIMARY KEY (org_id, agent_id, sha, log_id, idx)
);
INSERT INTO blob_want_copy (org_id, agent_id, sha, log_id, idx)
    SELECT org_id, agent_id, sha, log_id, idx FROM blob_want
    UNION SELECT w.org_id, w.agent_id, w.sha, i.log_id, i.idx FROM blob_want w
    JOIN item i ON i.org_id = w.org_id AND i.agent_id = w.agent_id AND (i.facts = w.sha OR i.detail = w.sha);
DROP TABLE blob_want;
ALTER TABLE blob_want_copy RENAME TO blob_want;
