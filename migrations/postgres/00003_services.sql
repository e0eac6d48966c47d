-- +goose Up
-- The services that may ask about tokens.
CREATE TABLE clients (
    id          text COLLATE "C" PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE,
    secret_hash bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    rotated_at  timestamptz NOT NULL
);

-- Until when tokens are refused of users whose sessions are gone, or who were disabled.
CREATE TABLE cutoffs (
    user_id text COLLATE "C" PRIMARY KEY,
    at      timestamptz NOT NULL,
    deleted boolean NOT NULL
);
CREATE INDEX cutoffs_at ON cutoffs (at);

-- Of all sessions the few that were ended. A refresh does not touch the column, and so stays HOT.
CREATE INDEX sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- +goose Down
DROP INDEX sessions_revoked_at;
DROP TABLE cutoffs;
DROP TABLE clients;
