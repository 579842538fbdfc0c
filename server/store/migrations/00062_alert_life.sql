-- When something of a firing alert is to be told next (0 for nothing), how often it fired within a day, this time included,
-- since when an unsteady one is in order, and the silence under which it was raised.

-- +goose Up
ALTER TABLE alert ADD COLUMN next BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN fired BIGINT NOT NULL DEFAULT 1;
ALTER TABLE alert ADD COLUMN calm BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN silence TEXT NOT NULL DEFAULT '';
UPDATE alert SET next = 1 WHERE state = 'firing' AND duty <> '';
CREATE INDEX alert_next ON alert (next) WHERE state = 'firing';
CREATE INDEX alert_key ON alert (org_id, duty, part, asset, opened);
