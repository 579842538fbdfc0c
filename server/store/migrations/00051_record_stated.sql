-- What the server itself states is listed newest first: who did what.

-- +goose Up
CREATE INDEX record_stated ON record (org_id, received, idx) WHERE agent_id = '';
