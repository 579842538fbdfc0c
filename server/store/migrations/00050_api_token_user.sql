-- +goose Up
ALTER TABLE api_token ADD COLUMN user_id TEXT NOT NULL DEFAULT ''; -- who made it; '' at the command line
