-- What is told of an alert between its beginning and its end: that it is still open, again and again, and that nobody has
-- taken it on. What an alert's end overtook is withdrawn.

-- +goose Up
CREATE TABLE outbox_now (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL,
    alert_id   TEXT   NOT NULL,
    event      TEXT   NOT NULL CHECK (event IN ('firing', 'reminder', 'escalated', 'resolved')),
    channel_id TEXT   NOT NULL,
    due        BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    lease      BIGINT NOT NULL DEFAULT 0,
    done       BIGINT NOT NULL DEFAULT 0,
    state      TEXT   NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'refused', 'withdrawn')),
    error      TEXT   NOT NULL DEFAULT '',
    created    BIGINT NOT NULL,
    round      BIGINT NOT NULL DEFAULT 0 -- of a reminder, counted from 1
);
INSERT INTO outbox_now (id, org_id, alert_id, event, channel_id, due, attempts, lease, done, state, error, created)
    SELECT id, org_id, alert_id, event, channel_id, due, attempts, lease, done, state, error, created FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_now RENAME TO outbox;
CREATE UNIQUE INDEX outbox_once ON outbox (alert_id, event, channel_id, round);
CREATE INDEX outbox_due ON outbox (state, due);
