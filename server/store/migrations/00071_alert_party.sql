-- The open and the lately ended alerts about the duties of a party.

-- +goose Up
CREATE INDEX alert_party ON alert (party, resolved);
