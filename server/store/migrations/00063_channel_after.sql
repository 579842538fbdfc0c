-- For how many hours nobody must have taken an alert on before a channel hears of it; 0 for at once.

-- +goose Up
ALTER TABLE channel ADD COLUMN after_hours BIGINT NOT NULL DEFAULT 0;
