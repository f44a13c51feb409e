-- +goose Up
-- booked names a booking for whoever gives it back: at changes when the clock was set back.
ALTER TABLE sends ADD COLUMN booked INTEGER NOT NULL DEFAULT 0;
UPDATE sends SET booked = at;

-- +goose Down
ALTER TABLE sends DROP COLUMN booked;
