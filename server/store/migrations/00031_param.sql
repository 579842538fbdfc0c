-- What organisations set of the figures that duties are judged by, and the rules in force.

-- +goose Up
-- The newest row of a parameter counts. duty and part are '' for what holds for the organisation as a whole.
CREATE TABLE param (
    org_id  TEXT   NOT NULL,
    duty    TEXT   NOT NULL,
    part    TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    value   TEXT   NOT NULL, -- a number; '' for the default again
    user_id TEXT   NOT NULL, -- who set it; '' for the operator
    PRIMARY KEY (org_id, duty, part, name, at)
);

-- Each version of the catalogue that was in force, numbered from 1.
CREATE TABLE ruleset (
    number  BIGINT NOT NULL PRIMARY KEY,
    digest  TEXT   NOT NULL,
    version TEXT   NOT NULL, -- of the program
    at      BIGINT NOT NULL  -- since when
);
