-- From when on what an agent sent is distrusted, though it was logged: 0 for nothing.

-- +goose Up
ALTER TABLE agent ADD COLUMN suspect BIGINT NOT NULL DEFAULT 0;
