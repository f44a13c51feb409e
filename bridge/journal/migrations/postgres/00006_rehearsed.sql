-- +goose Up
-- Requests that were relayed to the provider in a rehearsal, with its answers; call is JSON, secrets masked.
CREATE TABLE rehearsed (
    id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at   BIGINT NOT NULL,
    call TEXT   NOT NULL
);

-- +goose Down
DROP TABLE rehearsed;
