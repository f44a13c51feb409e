-- +goose Up
-- Upstream sessions, encrypted, by the digest of their credential. generation counts the credential's sessions. Whoever
-- is named in owner is logging in, and has until turn for it.
CREATE TABLE sessions (
    credential TEXT    PRIMARY KEY,
    generation INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    renew      INTEGER NOT NULL,
    sealed     BLOB    NOT NULL,
    owner      TEXT    NOT NULL,
    turn       INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE sessions;
