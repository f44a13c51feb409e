-- +goose Up
-- Calls that were turned away before they were cancellations. source is who may fill so many rows: a caller, or an address;
-- pool is what it shares with others.
CREATE TABLE rejected (
    id     INTEGER PRIMARY KEY,
    ref    TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    pool   TEXT    NOT NULL,
    source TEXT    NOT NULL,
    origin TEXT    NOT NULL,
    caller TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    why    TEXT    NOT NULL,
    came   TEXT    NOT NULL
) STRICT;

CREATE INDEX rejected_ref ON rejected (ref);
CREATE INDEX rejected_pool ON rejected (pool, source, id);

-- +goose Down
DROP TABLE rejected;
