-- A log that lost what was confirmed goes on in a new epoch. What the server itself states is numbered by its index,
-- which begins anew with each epoch, so only agents' numbers are unique.

-- +goose Up
DROP INDEX record_agent_seq;
CREATE UNIQUE INDEX record_agent_seq ON record (org_id, agent_id, seq) WHERE agent_id <> '';

-- Heads that agents hold, signed by this server, and that the log of that epoch does not continue.
CREATE TABLE claimed_head (
    org_id   TEXT   NOT NULL,
    epoch    BIGINT NOT NULL,
    agent_id TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    note     BYTEA  NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (org_id, epoch, agent_id)
);
