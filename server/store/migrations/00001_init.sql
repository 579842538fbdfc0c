-- Written once for both engines. For SQLite, migrate.go turns BIGINT into INTEGER and BYTEA into BLOB, and makes
-- each table STRICT. Times are microseconds since 1970 UTC, 0 for never; a sha is 32 bytes; flags are 0 or 1.

-- +goose Up
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE org (
    id       TEXT   NOT NULL PRIMARY KEY,
    kind     TEXT   NOT NULL CHECK (kind IN ('provider', 'customer')),
    name     TEXT   NOT NULL,
    lang     TEXT   NOT NULL DEFAULT 'en',
    zone     TEXT   NOT NULL DEFAULT 'Europe/Rome',
    services TEXT   NOT NULL DEFAULT '', -- of a customer: the services that it has, out of sc,wh,pe,bk
    created  BIGINT NOT NULL
);
CREATE UNIQUE INDEX org_one_provider ON org (kind) WHERE kind = 'provider';

CREATE TABLE app_user (
    id       TEXT   NOT NULL PRIMARY KEY,
    email    TEXT   NOT NULL UNIQUE, -- lower case
    name     TEXT   NOT NULL DEFAULT '',
    hash     TEXT   NOT NULL,        -- argon2id, PHC form
    lang     TEXT   NOT NULL DEFAULT 'en',
    created  BIGINT NOT NULL,
    disabled BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE member (
    org_id  TEXT NOT NULL REFERENCES org (id),
    user_id TEXT NOT NULL REFERENCES app_user (id),
    role    TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer', 'auditor')),
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX member_user ON member (user_id);

CREATE TABLE session (
    token   TEXT   NOT NULL PRIMARY KEY,
    data    BYTEA  NOT NULL,
    expiry  BIGINT NOT NULL,
    user_id TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX session_expiry ON session (expiry);

CREATE TABLE api_token (
    id      TEXT   NOT NULL PRIMARY KEY,
    org_id  TEXT   NOT NULL REFERENCES org (id),
    name    TEXT   NOT NULL DEFAULT '',
    hash    BYTEA  NOT NULL UNIQUE, -- SHA-256 of the token
    scopes  TEXT   NOT NULL DEFAULT 'read',
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL DEFAULT 0,
    used    BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE enroll_token (
    id       TEXT   NOT NULL PRIMARY KEY,
    org_id   TEXT   NOT NULL REFERENCES org (id),
    mac_key  BYTEA  NOT NULL,
    services TEXT   NOT NULL DEFAULT '',
    uses     BIGINT NOT NULL DEFAULT 0,
    max_uses BIGINT NOT NULL DEFAULT 1,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    note     TEXT   NOT NULL DEFAULT ''
);

CREATE TABLE enroll_nonce (
    nonce    TEXT   NOT NULL PRIMARY KEY,
    token_id TEXT   NOT NULL,
    size     BIGINT NOT NULL, -- of the log's head that was offered with it
    used     BIGINT NOT NULL DEFAULT 0,
    expires  BIGINT NOT NULL
);
CREATE INDEX enroll_nonce_expires ON enroll_nonce (expires);
CREATE INDEX enroll_nonce_token ON enroll_nonce (token_id);

CREATE TABLE agent (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL REFERENCES org (id),
    name       TEXT   NOT NULL,
    spki       BYTEA  NOT NULL UNIQUE, -- in all organisations
    witness    BYTEA  NOT NULL,        -- raw Ed25519 key that cosigns checkpoints
    machine    BYTEA,                  -- SHA-256 of the machine id; NULL where the host has none
    os         TEXT   NOT NULL DEFAULT '',
    version    TEXT   NOT NULL DEFAULT '',
    services   TEXT   NOT NULL DEFAULT '',
    push_hash  BYTEA  NOT NULL UNIQUE, -- SHA-256 of the push token
    state      TEXT   NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'forked', 'revoked')),
    enrolled   BIGINT NOT NULL,
    enroll_idx BIGINT NOT NULL,
    seq        BIGINT NOT NULL DEFAULT 0, -- of the last accepted record
    stmt       BYTEA  NOT NULL,           -- SHA-256 of the last accepted statement; of the enrollment at first
    seen       BIGINT NOT NULL DEFAULT 0, -- last push
    skew_ms    BIGINT NOT NULL DEFAULT 0, -- server time minus agent time at the last push that brought a fresh record
    lost       BIGINT NOT NULL DEFAULT 0  -- runs that the agent said it had to drop, summed
);
CREATE UNIQUE INDEX agent_machine ON agent (org_id, machine) WHERE state = 'active';

CREATE TABLE log (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL REFERENCES org (id),
    origin     TEXT   NOT NULL UNIQUE,
    epoch      BIGINT NOT NULL,
    size       BIGINT NOT NULL DEFAULT 0,
    edge       BYTEA  NOT NULL,           -- compact range: the roots of the full subtrees, left to right
    root       BYTEA  NOT NULL,
    checkpoint BYTEA  NOT NULL,           -- signed note of size and root
    last_time  BIGINT NOT NULL DEFAULT 0, -- of the newest entry
    UNIQUE (org_id, epoch)
);

CREATE TABLE entry (
    log_id TEXT   NOT NULL,
    idx    BIGINT NOT NULL,
    leaf   BYTEA  NOT NULL, -- RFC 6962 leaf hash of body
    body   BYTEA  NOT NULL, -- the line, newline included
    cp     BIGINT NOT NULL, -- size of the checkpoint that was signed with it
    PRIMARY KEY (log_id, idx)
);

CREATE TABLE tile (
    log_id TEXT   NOT NULL,
    level  BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    root   BYTEA  NOT NULL,
    data   BYTEA  NOT NULL, -- 256 hashes; only full tiles are kept
    PRIMARY KEY (log_id, level, n)
);

CREATE TABLE checkpoint (
    log_id TEXT   NOT NULL,
    size   BIGINT NOT NULL,
    note   BYTEA  NOT NULL,
    PRIMARY KEY (log_id, size)
);

CREATE TABLE cosignature (
    log_id   TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    agent_id TEXT   NOT NULL,
    line     TEXT   NOT NULL,
    at       BIGINT NOT NULL, -- as the witness states it
    PRIMARY KEY (log_id, size, agent_id)
);

-- agent_id is '' and seq the index for what the server itself states; seq is 0 for an enrollment.
CREATE TABLE record (
    org_id   TEXT   NOT NULL,
    agent_id TEXT   NOT NULL,
    seq      BIGINT NOT NULL,
    type     TEXT   NOT NULL,
    stmt     BYTEA  NOT NULL,
    env      BYTEA  NOT NULL, -- the envelope's exact bytes
    log_id   TEXT   NOT NULL,
    idx      BIGINT NOT NULL,
    received BIGINT NOT NULL, -- time of the entry
    PRIMARY KEY (org_id, log_id, idx)
);
CREATE UNIQUE INDEX record_agent_seq ON record (org_id, agent_id, seq);

CREATE TABLE fork (
    org_id   TEXT   NOT NULL,
    agent_id TEXT   NOT NULL,
    seq      BIGINT NOT NULL,
    stmt     BYTEA  NOT NULL,
    env      BYTEA  NOT NULL,
    received BIGINT NOT NULL,
    PRIMARY KEY (org_id, agent_id, seq, stmt)
);

CREATE TABLE blob (
    org_id TEXT   NOT NULL,
    sha    BYTEA  NOT NULL,
    data   BYTEA,                     -- NULL once erased
    erased BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, sha)
);

-- Blobs that a record names and that did not come with it.
CREATE TABLE blob_want (
    org_id   TEXT   NOT NULL,
    agent_id TEXT   NOT NULL,
    sha      BYTEA  NOT NULL,
    log_id   TEXT   NOT NULL,
    idx      BIGINT NOT NULL,
    PRIMARY KEY (org_id, agent_id, sha)
);

CREATE TABLE item (
    org_id   TEXT   NOT NULL,
    agent_id TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    log_id   TEXT   NOT NULL,
    idx      BIGINT NOT NULL,
    schema   BIGINT NOT NULL,
    from_at  BIGINT NOT NULL,
    to_at    BIGINT NOT NULL,
    received BIGINT NOT NULL,
    outcome  TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    facts    BYTEA  NOT NULL,
    detail   BYTEA, -- NULL for none
    PRIMARY KEY (org_id, agent_id, kind, received, log_id, idx)
);
CREATE INDEX item_idx ON item (org_id, log_id, idx);

-- part is '' for the duty itself; org_id is the customer whose board it is; due is when it must be judged again
-- for time alone, 0 for never.
CREATE TABLE verdict (
    org_id  TEXT   NOT NULL,
    duty    TEXT   NOT NULL,
    part    TEXT   NOT NULL,
    verdict TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    why     TEXT   NOT NULL DEFAULT '', -- JSON
    assets  TEXT   NOT NULL DEFAULT '', -- JSON: what a check found per asset, weakest first
    cites   TEXT   NOT NULL DEFAULT '', -- JSON
    due     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, duty, part)
);
CREATE INDEX verdict_due ON verdict (due);
CREATE INDEX verdict_tally ON verdict (org_id, verdict) WHERE part = ''; -- counts of all boards without reading them

CREATE TABLE verdict_change (
    org_id  TEXT   NOT NULL,
    duty    TEXT   NOT NULL,
    part    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    was     TEXT   NOT NULL,
    verdict TEXT   NOT NULL,
    why     TEXT   NOT NULL DEFAULT '',
    cites   TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, duty, part, at)
);

CREATE TABLE alert (
    id       TEXT   NOT NULL PRIMARY KEY,
    org_id   TEXT   NOT NULL,
    duty     TEXT   NOT NULL,
    part     TEXT   NOT NULL,
    asset    TEXT   NOT NULL DEFAULT '', -- agent id, or agent id/thing
    name     TEXT   NOT NULL DEFAULT '', -- of the asset, for people
    state    TEXT   NOT NULL CHECK (state IN ('firing', 'resolved')),
    party    TEXT   NOT NULL,
    verdict  TEXT   NOT NULL,
    why      TEXT   NOT NULL DEFAULT '', -- JSON: why it was raised
    ended    TEXT   NOT NULL DEFAULT '', -- JSON: what was found when it was resolved
    opened   BIGINT NOT NULL,
    acked    BIGINT NOT NULL DEFAULT 0,
    acked_by TEXT   NOT NULL DEFAULT '',
    resolved BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX alert_open ON alert (org_id, duty, part, asset) WHERE state = 'firing';
CREATE INDEX alert_org ON alert (org_id, opened);

CREATE TABLE outbox (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL,
    alert_id   TEXT   NOT NULL,
    event      TEXT   NOT NULL CHECK (event IN ('firing', 'resolved')),
    channel_id TEXT   NOT NULL,
    due        BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    lease      BIGINT NOT NULL DEFAULT 0,
    done       BIGINT NOT NULL DEFAULT 0,
    state      TEXT   NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'refused')),
    error      TEXT   NOT NULL DEFAULT '',
    created    BIGINT NOT NULL
);
CREATE UNIQUE INDEX outbox_once ON outbox (alert_id, event, channel_id);
CREATE INDEX outbox_due ON outbox (state, due);

CREATE TABLE channel (
    id      TEXT   NOT NULL PRIMARY KEY,
    org_id  TEXT   NOT NULL REFERENCES org (id),
    kind    TEXT   NOT NULL CHECK (kind IN ('email', 'webhook')),
    target  TEXT   NOT NULL,
    secret  BYTEA,
    party   TEXT   NOT NULL DEFAULT '', -- whose duties it hears of: '' the organisation's own, or 'both'
    created BIGINT NOT NULL
);
CREATE INDEX channel_org ON channel (org_id);

CREATE TABLE review (
    org_id  TEXT   NOT NULL,
    duty    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    user_id TEXT   NOT NULL,
    log_id  TEXT   NOT NULL DEFAULT '',
    idx     BIGINT NOT NULL, -- of the log entry
    PRIMARY KEY (org_id, duty, at)
);
