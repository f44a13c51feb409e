-- +goose Up
-- booked names a booking for whoever gives it back: at changes when the clock was set back.
ALTER TABLE sends ADD COLUMN booked BIGINT NOT NULL DEFAULT 0;
UPDATE sends SET booked = at;

-- The lowest entry that each instance waits with for a rate. A row that is not renewed is of no account after until.
CREATE TABLE heads (
    key      TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    entry    BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    PRIMARY KEY (key, instance)
);

-- +goose Down
DROP TABLE heads;
ALTER TABLE sends DROP COLUMN booked;
