-- +goose Up
-- How an entry stands; one without a row here is being sent. sent_… is how the send ended that began with the entry: 0 and
-- none, not yet; NULL, as class and outcome say. ask_… is who asked first and what he was told, unless that is in asks; NULL,
-- as the entry says.
-- Bodies come last: they are pruned, and the rest is found without them.
CREATE TABLE ends (
    entry          BIGINT  PRIMARY KEY,
    state          TEXT    NOT NULL,
    class          TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,
    updated        BIGINT  NOT NULL,
    next_lookup    BIGINT  NOT NULL,
    told           BIGINT  NOT NULL,
    version        BIGINT  NOT NULL,
    sent_upstream  TEXT    NOT NULL,
    sent_ended     BIGINT  NOT NULL,
    sent_class     TEXT,
    sent_outcome   TEXT,
    ask_ref        TEXT,
    ask_caller     TEXT,
    ask_irn        TEXT,
    ask_reason     TEXT,
    ask_remarks    TEXT,
    ask_received   BIGINT,
    ask_class      TEXT,
    ask_told       TEXT,
    ask_told_at    BIGINT,
    ask_how        TEXT,
    sent_exchanges TEXT,
    ask_in         BYTEA,
    ask_out        BYTEA
);

-- No entry up to here is without its row in ends: only what comes later need be looked through for sends cut off.
CREATE TABLE ended (upto BIGINT NOT NULL);

INSERT INTO ended SELECT COALESCE(max(id), 0) FROM entries;
INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended, sent_class, sent_outcome)
    SELECT id, state, class, outcome, updated, next_lookup, told, version, '', 0, 'none', '{}' FROM entries;

-- The straight way of a call writes each row once: the entry, with its first send, before the send; and one row at its end.
-- started is 0 for an entry that had to wait first; then all its sends are in attempts, as those of before are.
ALTER TABLE entries ADD COLUMN started BIGINT NOT NULL DEFAULT 0, ADD COLUMN who TEXT NOT NULL DEFAULT '',
    DROP COLUMN state, DROP COLUMN class, DROP COLUMN outcome, DROP COLUMN updated, DROP COLUMN next_lookup, DROP COLUMN told,
    DROP COLUMN version;

CREATE INDEX ends_open ON ends (state, next_lookup) WHERE state <> 'final';
CREATE INDEX ends_class ON ends (class, entry) WHERE class NOT IN ('none', 'cancelled');
CREATE INDEX ends_otherwise ON ends (entry)
    WHERE (class = 'cancelled' AND (told & 2) <> 0) OR (class IN ('refused', 'not_applied') AND (told & 1) <> 0);
CREATE UNIQUE INDEX ends_ref ON ends (ask_ref) WHERE ask_ref IS NOT NULL;
CREATE INDEX ends_told ON ends (ask_told_at, ask_class) WHERE ask_told_at IS NOT NULL;
ANALYZE ends;

-- +goose Down
-- Negative ids come before those of later sends and calls, as these did.
INSERT INTO attempts (id, entry, kind, started, ended, who, upstream, class, outcome, exchanges)
    SELECT -e.id, e.id, 'cancel', e.started, COALESCE(x.sent_ended, 0), e.who, COALESCE(x.sent_upstream, e.upstream),
    COALESCE(x.sent_class, x.class, 'none'), COALESCE(x.sent_outcome, x.outcome, '{}'), x.sent_exchanges
    FROM entries e LEFT JOIN ends x ON x.entry = e.id WHERE e.started > 0;
INSERT INTO asks (id, entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, told_at, how, soap_in, soap_out)
    SELECT -x.entry, x.entry, x.ask_ref, COALESCE(x.ask_caller, e.caller), '', '', '', COALESCE(x.ask_irn, e.irn),
    COALESCE(x.ask_reason, e.reason), COALESCE(x.ask_remarks, e.remarks), x.ask_received, x.ask_class, x.ask_told, x.ask_told_at,
    x.ask_how, x.ask_in, x.ask_out FROM ends x JOIN entries e ON e.id = x.entry WHERE x.ask_ref IS NOT NULL;
ALTER TABLE entries ADD COLUMN state TEXT NOT NULL DEFAULT 'sending', ADD COLUMN class TEXT NOT NULL DEFAULT 'none',
    ADD COLUMN outcome TEXT NOT NULL DEFAULT '{}', ADD COLUMN updated BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN next_lookup BIGINT NOT NULL DEFAULT 0, ADD COLUMN told BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
UPDATE entries SET updated = created;
UPDATE entries SET state = x.state, class = x.class, outcome = x.outcome, updated = x.updated, next_lookup = x.next_lookup,
    told = x.told, version = x.version FROM ends x WHERE x.entry = entries.id;
ALTER TABLE entries DROP COLUMN started, DROP COLUMN who;
DROP TABLE ended;
DROP TABLE ends;
CREATE INDEX entries_open ON entries (state, next_lookup) WHERE state <> 'final';
CREATE INDEX entries_class ON entries (class, id) WHERE class NOT IN ('none', 'cancelled');
CREATE INDEX entries_otherwise ON entries (id)
    WHERE (class = 'cancelled' AND (told & 2) <> 0) OR (class IN ('refused', 'not_applied') AND (told & 1) <> 0);
