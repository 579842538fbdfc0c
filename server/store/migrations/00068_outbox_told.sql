-- What was told of an alert, found by the alert: SQLite would read all that was ever delivered.

-- +goose Up
CREATE INDEX outbox_told ON outbox (alert_id, event, state, done);
