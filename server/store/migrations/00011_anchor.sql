-- The anchor log: one per server, over the checkpoints of all organisations' logs. Its row in log has the organisation
-- '', so log loses its reference to org; SQLite knows no other way for that than to copy the table. In cosignature,
-- agent_id is the verifier key (vkey) of the outside witness for the anchor log.

-- +goose Up
CREATE TABLE log_copy (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL,           -- '' for the anchor log
    origin     TEXT   NOT NULL UNIQUE,
    epoch      BIGINT NOT NULL,
    size       BIGINT NOT NULL DEFAULT 0,
    edge       BYTEA  NOT NULL,           -- compact range: the roots of the full subtrees, left to right
    root       BYTEA  NOT NULL,
    checkpoint BYTEA  NOT NULL,           -- signed note of size and root
    last_time  BIGINT NOT NULL DEFAULT 0, -- of the newest entry
    UNIQUE (org_id, epoch)
);
INSERT INTO log_copy (id, org_id, origin, epoch, size, edge, root, checkpoint, last_time)
    SELECT id, org_id, origin, epoch, size, edge, root, checkpoint, last_time FROM log;
DROP TABLE log;
ALTER TABLE log_copy RENAME TO log;

-- What hides a log in the anchor log; for its organisation's eyes only.
CREATE TABLE anchor_nonce (
    log_id TEXT  NOT NULL PRIMARY KEY,
    nonce  BYTEA NOT NULL
);

-- The checkpoint of a log's size is entry idx of the anchor log anchor_id.
CREATE TABLE anchored (
    log_id    TEXT   NOT NULL,
    size      BIGINT NOT NULL,
    anchor_id TEXT   NOT NULL,
    idx       BIGINT NOT NULL,
    PRIMARY KEY (log_id, size)
);
CREATE UNIQUE INDEX anchored_idx ON anchored (anchor_id, idx);

-- RFC 3161 tokens over the anchor log's checkpoints.
CREATE TABLE anchor_token (
    anchor_id TEXT   NOT NULL,
    size      BIGINT NOT NULL,
    tsa       TEXT   NOT NULL, -- URL
    at        BIGINT NOT NULL, -- as the token states it
    token     BYTEA  NOT NULL, -- DER
    chain     BYTEA  NOT NULL, -- sha of the certificates under which it was verified
    PRIMARY KEY (anchor_id, size, tsa)
);
CREATE INDEX anchor_token_tsa ON anchor_token (anchor_id, tsa, size);

CREATE TABLE anchor_chain (
    sha BYTEA NOT NULL PRIMARY KEY,
    pem TEXT  NOT NULL
);

-- What is to be done for the anchor log, and how it went: "log", "tsa URL", "witness NAME".
CREATE TABLE anchor_job (
    name     TEXT   NOT NULL PRIMARY KEY,
    due      BIGINT NOT NULL,
    lease    BIGINT NOT NULL DEFAULT 0,
    done     BIGINT NOT NULL DEFAULT 0, -- last success
    failing  BIGINT NOT NULL DEFAULT 0, -- since when; 0 while it works
    attempts BIGINT NOT NULL DEFAULT 0, -- since the last success
    error    TEXT   NOT NULL DEFAULT ''
);
