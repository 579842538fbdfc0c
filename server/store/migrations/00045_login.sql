-- Each browser in which somebody is signed in. A session names its login: without it the session is nobody's, so
-- ending one is removing its row. token is the digest of what the session holds.

-- +goose Up
CREATE TABLE login (
    id       TEXT   NOT NULL PRIMARY KEY,
    token    BYTEA  NOT NULL UNIQUE,
    user_id  TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    via      TEXT   NOT NULL, -- how its user proved who they are
    address  TEXT   NOT NULL,
    browser  TEXT   NOT NULL,
    renew    BIGINT NOT NULL DEFAULT 0 -- 1: the session takes a new token at the next request
);
CREATE INDEX login_user ON login (user_id, created);
