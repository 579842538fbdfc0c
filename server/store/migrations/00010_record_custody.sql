-- +goose Up
CREATE INDEX record_custody ON record (org_id, log_id, idx) WHERE type NOT IN ('evidence', 'workflow');
