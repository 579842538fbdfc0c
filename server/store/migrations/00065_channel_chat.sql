-- Channels of a third kind: chat and paging services. Neither engine widens a check in place, and no copy of the table
-- is made: a column that bears its own check takes it along when it goes.

-- +goose Up
ALTER TABLE channel RENAME COLUMN kind TO kind_old;
ALTER TABLE channel ADD COLUMN kind TEXT NOT NULL DEFAULT 'email' CHECK (kind IN ('email', 'webhook', 'chat'));
UPDATE channel SET kind = kind_old;
