-- How many records wait on the host behind those of its last push, as the agent says.

-- +goose Up
ALTER TABLE agent ADD COLUMN backlog BIGINT NOT NULL DEFAULT 0;
