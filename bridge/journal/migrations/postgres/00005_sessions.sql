-- +goose Up
-- Upstream sessions, encrypted, by the digest of their credential. generation counts the credential's sessions. Whoever
-- is named in owner is logging in, and has until turn for it.
CREATE TABLE sessions (
    credential TEXT   PRIMARY KEY,
    generation BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    renew      BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    owner      TEXT   NOT NULL,
    turn       BIGINT NOT NULL
);

-- +goose Down
DROP TABLE sessions;
