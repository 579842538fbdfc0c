-- When no server judged, and what is to be judged soon without forgetting when it lapses.

-- +goose Up
CREATE TABLE outage (
    from_at BIGINT NOT NULL PRIMARY KEY,
    to_at   BIGINT NOT NULL -- excluded
);
ALTER TABLE verdict ADD COLUMN soon BIGINT NOT NULL DEFAULT 0;
CREATE INDEX verdict_soon ON verdict (soon) WHERE soon > 0;
