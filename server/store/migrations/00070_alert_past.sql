-- The open and the lately ended alerts about a party's duties, of one organisation.

-- +goose Up
CREATE INDEX alert_past ON alert (org_id, party, resolved);
