-- Keys that agents used before: each signed its agent's records up to a number. The key in use is the agent's own row's.

-- +goose Up
CREATE TABLE agent_key (
    agent_id TEXT   NOT NULL,
    upto     BIGINT NOT NULL, -- the change of key itself, which the old key signs
    spki     BYTEA  NOT NULL UNIQUE,
    PRIMARY KEY (agent_id, upto)
);
