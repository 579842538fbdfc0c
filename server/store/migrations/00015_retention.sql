-- +goose Up
-- Until when blobs of one class (facts, detail) were erased by term, for each agent and kind.
CREATE TABLE retention (
    org_id   TEXT   NOT NULL,
    agent_id TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    class    TEXT   NOT NULL,
    upto     BIGINT NOT NULL,
    PRIMARY KEY (org_id, agent_id, kind, class)
);
