-- +goose Up
-- A call has one answer, also when it is written down again because the first time was not sure to have gone through.
DELETE FROM asks WHERE id NOT IN (SELECT max(id) FROM asks GROUP BY ref);
DROP INDEX asks_ref;
CREATE UNIQUE INDEX asks_ref ON asks (ref);

-- +goose Down
DROP INDEX asks_ref;
CREATE INDEX asks_ref ON asks (ref);
