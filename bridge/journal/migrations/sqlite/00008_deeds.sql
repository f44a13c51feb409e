-- +goose Up
-- What operators did: resolved, withdrew, issued and revoked tokens, reloaded. entry is 0 when it was about none.
CREATE TABLE deeds (
    id    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    who   TEXT    NOT NULL,
    what  TEXT    NOT NULL,
    entry INTEGER NOT NULL,
    about TEXT    NOT NULL
) STRICT;

-- +goose Down
DROP TABLE deeds;
