-- +goose Up
-- Times are whole microseconds since 1970, as the driver writes them.
CREATE TABLE users (
    id             text PRIMARY KEY,
    username       text NOT NULL UNIQUE,
    email          text NOT NULL,
    email_verified boolean NOT NULL,
    first_name     text NOT NULL,
    last_name      text NOT NULL,
    password       text NOT NULL,
    is_active      boolean NOT NULL,
    is_staff       boolean NOT NULL,
    is_superuser   boolean NOT NULL,
    attributes     text NOT NULL,
    date_joined    datetime NOT NULL,
    last_login     datetime,
    updated_at     datetime NOT NULL
);

CREATE TABLE identities (
    issuer       text NOT NULL,
    subject      text NOT NULL,
    user_id      text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider     text NOT NULL,
    created_at   datetime NOT NULL,
    last_seen_at datetime NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_user_id ON identities (user_id);

CREATE TABLE sessions (
    id              text PRIMARY KEY,
    user_id         text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation      integer NOT NULL,
    created_at      datetime NOT NULL,
    rotated_at      datetime NOT NULL,
    idle_expires_at datetime NOT NULL,
    expires_at      datetime NOT NULL,
    late_retries    integer NOT NULL,
    forgiven_at     datetime,
    method          text NOT NULL,
    issuer          text NOT NULL,
    subject         text NOT NULL,
    user_agent      text NOT NULL,
    ip              text NOT NULL,
    revoked_at      datetime,
    revoke_reason   text NOT NULL
);
CREATE INDEX sessions_user_id ON sessions (user_id);

CREATE TABLE signing_keys (
    kid            text PRIMARY KEY,
    alg            text NOT NULL,
    state          text NOT NULL,
    sealed_private blob NOT NULL,
    public_jwk     text NOT NULL,
    created_at     datetime NOT NULL,
    signs_at       datetime NOT NULL,
    retired_at     datetime,
    remove_at      datetime
);

CREATE TABLE exchanges (
    digest     blob PRIMARY KEY,
    session_id text NOT NULL,
    expires_at datetime NOT NULL
);
CREATE INDEX exchanges_expires_at ON exchanges (expires_at);

CREATE TABLE audit_events (
    id         text PRIMARY KEY,
    at         datetime NOT NULL,
    event      text NOT NULL,
    user_id    text NOT NULL,
    session_id text NOT NULL,
    ip         text NOT NULL,
    user_agent text NOT NULL,
    details    text NOT NULL
);
CREATE INDEX audit_events_user_id ON audit_events (user_id, id);

CREATE TABLE throttle (
    key          text PRIMARY KEY,
    window_start datetime NOT NULL,
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
