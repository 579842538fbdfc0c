-- What stands on the boards of a page of customers, read without touching reasons and cites.

-- +goose Up
CREATE INDEX verdict_strip ON verdict (org_id, duty, verdict) WHERE part = '';
