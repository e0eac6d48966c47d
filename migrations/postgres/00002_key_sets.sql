-- +goose Up
-- The last good keys of each identity provider, for a start while it can't be reached.
CREATE TABLE key_sets (
    url        text COLLATE "C" PRIMARY KEY,
    body       text NOT NULL,
    fetched_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE key_sets;
