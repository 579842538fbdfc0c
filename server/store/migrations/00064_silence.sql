-- Messages of an alert, or of all that a host raises, that an organisation does not want for a while. Its words stand in the log.

-- +goose Up
CREATE TABLE silence (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL, -- whose duty it is, and whose channels are silent
    duty       TEXT   NOT NULL, -- '' for all duties of a host
    part       TEXT   NOT NULL,
    asset      TEXT   NOT NULL, -- as an alert's; the agent's id where the duty is ''
    name       TEXT   NOT NULL, -- of the asset, for people
    at         BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    user_id    TEXT   NOT NULL,
    data       TEXT   NOT NULL, -- digest of its words
    log_id     TEXT   NOT NULL,
    idx        BIGINT NOT NULL, -- of the log entry
    ended      BIGINT NOT NULL DEFAULT 0, -- early, by whom, and the entry that says so
    ended_by   TEXT   NOT NULL DEFAULT '',
    ended_data TEXT   NOT NULL DEFAULT '',
    ended_log  TEXT   NOT NULL DEFAULT '',
    ended_idx  BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX silence_org ON silence (org_id, until);
