-- What was sent by mail to be used once: an invitation, or the way to a new password. Only the digest of its text is kept.

-- +goose Up
CREATE TABLE link (
    id        TEXT   NOT NULL PRIMARY KEY,
    hash      BYTEA  NOT NULL UNIQUE,
    kind      TEXT   NOT NULL CHECK (kind IN ('invite', 'reset', 'setup')),
    email     TEXT   NOT NULL, -- lower case
    org_id    TEXT   NOT NULL, -- of an invitation; likewise the rest
    role      TEXT   NOT NULL,
    ends      BIGINT NOT NULL,
    see_from  BIGINT NOT NULL,
    see_until BIGINT NOT NULL,
    lang      TEXT   NOT NULL,
    by_user   TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);
CREATE INDEX link_org ON link (org_id, kind, created);
