-- How many cases of a workflow were opened with an organisation lately.

-- +goose Up
CREATE INDEX case_found ON case_file (org_id, workflow, opened);
