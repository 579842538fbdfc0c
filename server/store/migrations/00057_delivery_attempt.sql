-- How each attempt to tell somebody of an alert went. The outbox keeps the last one only.

-- +goose Up
CREATE TABLE delivery_attempt (
    org_id      TEXT   NOT NULL, -- who is told
    alert_id    TEXT   NOT NULL,
    delivery_id TEXT   NOT NULL,
    n           BIGINT NOT NULL, -- counts from 1
    at          BIGINT NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('delivered', 'failed', 'refused')),
    error       TEXT   NOT NULL,
    log_id      TEXT   NOT NULL, -- of the entry that proves it; '' where the log could not be continued
    idx         BIGINT NOT NULL,
    PRIMARY KEY (org_id, alert_id, delivery_id, n)
);
