-- The narrower column goes; see 00065.

-- +goose Up
ALTER TABLE channel DROP COLUMN kind_old;
