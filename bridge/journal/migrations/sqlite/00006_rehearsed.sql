-- +goose Up
-- Requests that were relayed to the provider in a rehearsal, with its answers; call is JSON, secrets masked.
CREATE TABLE rehearsed (
    id   INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    call TEXT    NOT NULL
) STRICT;

-- +goose Down
DROP TABLE rehearsed;
