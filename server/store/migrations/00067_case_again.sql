-- Reports of what a case was about already, with the entry of the log that keeps each. What cases are about was a bare digest
-- of fewer words: the server gives them another when it starts.

-- +goose Up
CREATE TABLE case_again (
    org_id  TEXT   NOT NULL, -- in whose log it stands: the provider
    case_id TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    log_id  TEXT   NOT NULL,
    idx     BIGINT NOT NULL,
    data    TEXT   NOT NULL, -- digest of its words
    PRIMARY KEY (org_id, log_id, idx)
);
CREATE INDEX case_again_at ON case_again (org_id, at);
CREATE INDEX case_again_case ON case_again (case_id);
CREATE INDEX case_arrived ON case_file (org_id, opened);
UPDATE case_file SET subject = '';
