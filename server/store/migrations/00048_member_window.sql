-- An auditor's access ends, and shows what was logged between two moments; 0 for no bound.

-- +goose Up
ALTER TABLE member ADD COLUMN ends BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN see_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN see_until BIGINT NOT NULL DEFAULT 0;
