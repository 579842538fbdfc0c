-- Links by which the holder of a mail channel confirms a day's review once.

-- +goose Up
CREATE TABLE review_link (
    org_id     TEXT   NOT NULL,
    service    TEXT   NOT NULL,
    channel_id TEXT   NOT NULL,
    day        TEXT   NOT NULL, -- calendar day of the organisation, 2006-01-02
    id         TEXT   NOT NULL,
    expires    BIGINT NOT NULL,
    used       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, service, channel_id, day)
);
CREATE UNIQUE INDEX review_link_id ON review_link (id);
