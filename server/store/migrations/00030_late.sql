-- Judging the past again: by evidence that came late, and by other rules.

-- +goose Up
ALTER TABLE item ADD COLUMN skew_ms BIGINT;                              -- server time minus the agent's as the record states it; NULL in older rows
ALTER TABLE verdict ADD COLUMN cause TEXT NOT NULL DEFAULT '';           -- in one word, why it is no proof
ALTER TABLE verdict_change ADD COLUMN cause TEXT NOT NULL DEFAULT '';

-- Stretches of the past that have another verdict than the turns in verdict_change: 'late', by evidence that came late;
-- 'rules', by other rules. Those of one basis do not overlap.
CREATE TABLE verdict_again (
    org_id  TEXT   NOT NULL,
    duty    TEXT   NOT NULL,
    basis   TEXT   NOT NULL CHECK (basis IN ('late', 'rules')),
    from_at BIGINT NOT NULL,
    to_at   BIGINT NOT NULL, -- excluded
    verdict TEXT   NOT NULL,
    why     TEXT   NOT NULL, -- JSON
    judged  BIGINT NOT NULL,
    ruleset BIGINT NOT NULL DEFAULT 0, -- the number of the rules that it was judged by
    PRIMARY KEY (org_id, duty, basis, from_at)
);

-- Evidence of a kind that came late and by which the past is to be judged again, from since on, not before due.
CREATE TABLE late_evidence (
    org_id TEXT   NOT NULL,
    kind   TEXT   NOT NULL,
    since  BIGINT NOT NULL,
    due    BIGINT NOT NULL,
    PRIMARY KEY (org_id, kind)
);
