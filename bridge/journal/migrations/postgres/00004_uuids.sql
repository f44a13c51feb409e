-- +goose Up
-- One spelling for MyInvois' ids, as it documents them: upper case. Two records of one document stay two.
UPDATE entries SET document = upper(document), version = version + 1
WHERE space LIKE 'myinvois%' AND document <> upper(document) AND NOT EXISTS (
    SELECT 1 FROM entries e WHERE e.space = entries.space AND e.taxpayer = entries.taxpayer
    AND e.id <> entries.id AND upper(e.document) = upper(entries.document));

-- +goose Down
SELECT 1;
