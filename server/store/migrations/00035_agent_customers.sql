-- Which customers a provider's agent works for: a comma list of organisations; all that have its services when empty.

-- +goose Up
ALTER TABLE agent ADD COLUMN customers TEXT NOT NULL DEFAULT '';
