-- What a report of abuse is about, so that the same again is known, and how often it was reported again.

-- +goose Up
ALTER TABLE case_file ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE case_file ADD COLUMN again BIGINT NOT NULL DEFAULT 0;
ALTER TABLE case_file ADD COLUMN again_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX case_subject ON case_file (subject, closed);
