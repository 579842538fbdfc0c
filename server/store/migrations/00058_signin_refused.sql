-- Refused sign-ins of an account in an hour, until the hour is over and its organisations' logs say so: one row, however many tries.

-- +goose Up
CREATE TABLE signin_refused (
    user_id TEXT   NOT NULL,
    hour    BIGINT NOT NULL, -- when it began
    n       BIGINT NOT NULL,
    since   BIGINT NOT NULL, -- the first one
    last    BIGINT NOT NULL,
    addrs   TEXT   NOT NULL, -- from where, parted by spaces, the first few
    PRIMARY KEY (user_id, hour)
);
