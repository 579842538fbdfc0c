-- +goose Up
ALTER TABLE blob ADD COLUMN erased_log TEXT NOT NULL DEFAULT '';
