-- +goose Up
-- One spelling for MyInvois' ids, as it documents them: upper case. Two records of one document stay two.
UPDATE OR IGNORE entries SET document = upper(document), version = version + 1
WHERE space LIKE 'myinvois%' AND document <> upper(document);

-- +goose Down
SELECT 1;
