-- Of a report that was passed on to a customer: the provider's case that it was, and since when it waits.

-- +goose Up
ALTER TABLE case_file ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE case_file ADD COLUMN origin TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX case_origin ON case_file (origin, org_id) WHERE origin <> '';
CREATE INDEX case_entry ON case_file (log_id, idx);
