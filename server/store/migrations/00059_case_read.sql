-- When the party that did not open a case read it for the first time, and the entry that says so.

-- +goose Up
ALTER TABLE case_file ADD COLUMN read_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE case_file ADD COLUMN read_by TEXT NOT NULL DEFAULT '';
ALTER TABLE case_file ADD COLUMN read_log TEXT NOT NULL DEFAULT '';
ALTER TABLE case_file ADD COLUMN read_idx BIGINT NOT NULL DEFAULT 0;
ALTER TABLE case_file ADD COLUMN read_data TEXT NOT NULL DEFAULT '';
