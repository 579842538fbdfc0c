-- What holds an enrollment up: where it comes from, who must approve it, whom it replaces.

-- +goose Up
ALTER TABLE enroll_token ADD COLUMN cidrs TEXT NOT NULL DEFAULT '';   -- networks that hosts may enroll from; all when empty
ALTER TABLE enroll_token ADD COLUMN hold BIGINT NOT NULL DEFAULT 0;   -- 1: agents wait for approval
ALTER TABLE enroll_token ADD COLUMN replaces TEXT NOT NULL DEFAULT ''; -- agent whose host is set up anew
ALTER TABLE agent ADD COLUMN held BIGINT NOT NULL DEFAULT 0;          -- since when it waits for approval; 0: it does not
ALTER TABLE agent ADD COLUMN came_from TEXT NOT NULL DEFAULT '';      -- address at its enrollment
ALTER TABLE agent ADD COLUMN replaces TEXT NOT NULL DEFAULT '';       -- agent of the same host before
ALTER TABLE agent ADD COLUMN protection TEXT NOT NULL DEFAULT 'file'; -- of its key, as the agent stated it
ALTER TABLE agent_key ADD COLUMN protection TEXT NOT NULL DEFAULT 'file'; -- likewise, of a key that it used before
