-- +goose Up
ALTER TABLE app_user ADD COLUMN signed_in BIGINT NOT NULL DEFAULT 0;
