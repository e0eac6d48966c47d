-- +goose Up
-- Finds the users of an e-mail address, whatever the case of its ASCII letters.
CREATE INDEX users_email ON users (lower(email));

-- +goose Down
DROP INDEX users_email;
