-- What people prove themselves with besides a password: a clock code, recovery codes, passkeys, an account elsewhere.

-- +goose Up
CREATE TABLE factor (
    id      TEXT   NOT NULL PRIMARY KEY, -- of a passkey and an account elsewhere: what they are known by
    user_id TEXT   NOT NULL,
    kind    TEXT   NOT NULL CHECK (kind IN ('totp', 'totp-new', 'recovery', 'passkey', 'oidc')),
    name    TEXT   NOT NULL DEFAULT '',
    data    BYTEA  NOT NULL, -- a secret is sealed, a recovery code hashed
    added   BIGINT NOT NULL,
    used    BIGINT NOT NULL DEFAULT 0 -- of a clock code: the last step that was taken
);
CREATE INDEX factor_user ON factor (user_id, kind);
