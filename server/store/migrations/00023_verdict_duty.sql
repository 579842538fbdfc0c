-- What stands of one duty on all boards is read when cases prove it.

-- +goose Up
CREATE INDEX verdict_duty ON verdict (duty);
