-- Statements of more kinds: standing instructions and needs. party is who signed, where that is not the duty's own;
-- about is what it says to the checks, as JSON.

-- +goose Up
CREATE TABLE statement_now (
    id      TEXT   NOT NULL PRIMARY KEY,
    org_id  TEXT   NOT NULL, -- whose duty it is; the board's for what a party says about the other's duty
    duty    TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    good    BIGINT NOT NULL,
    user_id TEXT   NOT NULL,
    log_id  TEXT   NOT NULL,
    idx     BIGINT NOT NULL, -- of the log entry
    data    TEXT   NOT NULL, -- digest of its words
    party   TEXT   NOT NULL DEFAULT '',
    about   TEXT   NOT NULL DEFAULT '',
    reminded BIGINT NOT NULL DEFAULT 0 -- when its party was told that it ends
);
INSERT INTO statement_now (id, org_id, duty, kind, at, until, good, user_id, log_id, idx, data)
    SELECT id, org_id, duty, kind, at, until, good, user_id, log_id, idx, data FROM statement;
DROP TABLE statement;
ALTER TABLE statement_now RENAME TO statement;
CREATE INDEX statement_duty ON statement (org_id, duty, at);
CREATE INDEX statement_until ON statement (until);
