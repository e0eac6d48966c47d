-- +goose Up
-- What is indexed is sorted by its bytes: an index that is sorted as a language
-- does breaks when the library that knows the language changes.
-- A sign-in changes last_login and last_seen_at, for which pages keep some room.
CREATE TABLE users (
    id             text COLLATE "C" PRIMARY KEY,
    username       text COLLATE "C" NOT NULL UNIQUE,
    email          text NOT NULL,
    email_verified boolean NOT NULL,
    first_name     text NOT NULL,
    last_name      text NOT NULL,
    password       text NOT NULL,
    is_active      boolean NOT NULL,
    is_staff       boolean NOT NULL,
    is_superuser   boolean NOT NULL,
    attributes     text NOT NULL,
    date_joined    timestamptz NOT NULL,
    last_login     timestamptz,
    updated_at     timestamptz NOT NULL
) WITH (fillfactor = 90);

CREATE TABLE identities (
    issuer       text COLLATE "C" NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    user_id      text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider     text NOT NULL,
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject)
) WITH (fillfactor = 90);
CREATE INDEX identities_user_id ON identities (user_id);

-- A refresh changes generation, rotated_at and idle_expires_at alone, a late retry
-- late_retries and forgiven_at. None of them is in an index, and a page keeps room
-- for new versions of its rows, so that Postgres updates them in place (HOT).
CREATE TABLE sessions (
    id              text COLLATE "C" PRIMARY KEY,
    user_id         text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation      bigint NOT NULL,
    created_at      timestamptz NOT NULL,
    rotated_at      timestamptz NOT NULL,
    idle_expires_at timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    late_retries    integer NOT NULL,
    forgiven_at     timestamptz,
    method          text NOT NULL,
    issuer          text NOT NULL,
    subject         text NOT NULL,
    user_agent      text NOT NULL,
    ip              text NOT NULL,
    revoked_at      timestamptz,
    revoke_reason   text NOT NULL
) WITH (fillfactor = 75);
CREATE INDEX sessions_user_id ON sessions (user_id);

CREATE TABLE signing_keys (
    kid            text COLLATE "C" PRIMARY KEY,
    alg            text NOT NULL,
    state          text NOT NULL,
    sealed_private bytea NOT NULL,
    public_jwk     text NOT NULL,
    created_at     timestamptz NOT NULL,
    signs_at       timestamptz NOT NULL,
    retired_at     timestamptz,
    remove_at      timestamptz
);

CREATE TABLE exchanges (
    digest     bytea PRIMARY KEY,
    session_id text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX exchanges_expires_at ON exchanges (expires_at);

CREATE TABLE audit_events (
    id         text COLLATE "C" PRIMARY KEY,
    at         timestamptz NOT NULL,
    event      text NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    session_id text NOT NULL,
    ip         text NOT NULL,
    user_agent text NOT NULL,
    details    text NOT NULL
);
CREATE INDEX audit_events_user_id ON audit_events (user_id, id);

CREATE TABLE throttle (
    key          text COLLATE "C" PRIMARY KEY,
    window_start timestamptz NOT NULL,
    count        integer NOT NULL
);
CREATE INDEX throttle_window_start ON throttle (window_start);

-- +goose Down
DROP TABLE throttle;
DROP TABLE audit_events;
DROP TABLE exchanges;
DROP TABLE signing_keys;
DROP TABLE sessions;
DROP TABLE identities;
DROP TABLE users;
