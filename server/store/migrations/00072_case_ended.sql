-- The open cases of all organisations, oldest first, and the others by their end.

-- +goose Up
CREATE INDEX case_ended ON case_file (closed, opened);
