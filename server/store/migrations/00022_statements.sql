-- What people state about duties, and what happens between the parties step by step. What is said in words stands in
-- the blobs of the log, where it can be erased; titles stand here too, for lists.

-- +goose Up
CREATE TABLE statement (
    id      TEXT   NOT NULL PRIMARY KEY,
    org_id  TEXT   NOT NULL,
    duty    TEXT   NOT NULL,
    kind    TEXT   NOT NULL CHECK (kind IN ('attestation', 'waiver')),
    at      BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    good    BIGINT NOT NULL,
    user_id TEXT   NOT NULL,
    log_id  TEXT   NOT NULL,
    idx     BIGINT NOT NULL, -- of the log entry
    data    TEXT   NOT NULL  -- digest of its words
);
CREATE INDEX statement_duty ON statement (org_id, duty, at);

CREATE TABLE case_file (
    id        TEXT   NOT NULL PRIMARY KEY,
    org_id    TEXT   NOT NULL, -- the customer concerned; the provider for its own affairs
    workflow  TEXT   NOT NULL,
    service   TEXT   NOT NULL,
    title     TEXT   NOT NULL,
    opened    BIGINT NOT NULL,
    opened_by TEXT   NOT NULL,
    closed    BIGINT NOT NULL DEFAULT 0,
    withdrawn BIGINT NOT NULL DEFAULT 0,
    log_id    TEXT   NOT NULL,
    idx       BIGINT NOT NULL,
    data      TEXT   NOT NULL
);
CREATE INDEX case_open ON case_file (org_id, closed, opened);

CREATE TABLE case_step (
    case_id TEXT   NOT NULL,
    n       BIGINT NOT NULL, -- from 0
    step    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    user_id TEXT   NOT NULL, -- empty for the server itself
    skipped BIGINT NOT NULL,
    log_id  TEXT   NOT NULL,
    idx     BIGINT NOT NULL,
    data    TEXT   NOT NULL,
    PRIMARY KEY (case_id, n)
);


