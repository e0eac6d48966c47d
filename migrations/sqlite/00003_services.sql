-- +goose Up
-- The services that may ask about tokens.
CREATE TABLE clients (
    id          text PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    secret_hash blob NOT NULL,
    created_at  datetime NOT NULL,
    rotated_at  datetime NOT NULL
);

-- Until when tokens are refused of users whose sessions are gone, or who were disabled.
CREATE TABLE cutoffs (
    user_id text PRIMARY KEY,
    at      datetime NOT NULL,
    deleted boolean NOT NULL
);
CREATE INDEX cutoffs_at ON cutoffs (at);

-- Of all sessions the few that were ended.
CREATE INDEX sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- +goose Down
DROP INDEX sessions_revoked_at;
DROP TABLE cutoffs;
DROP TABLE clients;
