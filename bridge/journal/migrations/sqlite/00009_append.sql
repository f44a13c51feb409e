-- +goose Up
-- The straight way of a call writes each row once: the entry, with its first send, before the send; and one row at its end.
-- started is 0 for an entry that had to wait first; then all its sends are in attempts, as those of before are.
CREATE TABLE begun (
    id       INTEGER PRIMARY KEY,
    space    TEXT    NOT NULL,
    document TEXT    NOT NULL,
    taxpayer TEXT    NOT NULL,
    upstream TEXT    NOT NULL,
    ref      TEXT    NOT NULL,
    caller   TEXT    NOT NULL,
    irn      TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    remarks  TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    started  INTEGER NOT NULL,
    who      TEXT    NOT NULL
) STRICT;

-- How an entry stands; one without a row here is being sent. sent_… is how the send ended that began with the entry: 0 and
-- none, not yet; NULL, as class and outcome say. ask_… is who asked first and what he was told, unless that is in asks; NULL,
-- as the entry says.
-- Bodies come last: they are pruned, and the rest is found without them.
CREATE TABLE ends (
    entry          INTEGER PRIMARY KEY,
    state          TEXT    NOT NULL,
    class          TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,
    updated        INTEGER NOT NULL,
    next_lookup    INTEGER NOT NULL,
    told           INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    sent_upstream  TEXT    NOT NULL,
    sent_ended     INTEGER NOT NULL,
    sent_class     TEXT,
    sent_outcome   TEXT,
    ask_ref        TEXT,
    ask_caller     TEXT,
    ask_irn        TEXT,
    ask_reason     TEXT,
    ask_remarks    TEXT,
    ask_received   INTEGER,
    ask_class      TEXT,
    ask_told       TEXT,
    ask_told_at    INTEGER,
    ask_how        TEXT,
    sent_exchanges TEXT,
    ask_in         BLOB,
    ask_out        BLOB
) STRICT;

-- No entry up to here is without its row in ends: only what comes later need be looked through for sends cut off.
CREATE TABLE ended (upto INTEGER NOT NULL) STRICT;

INSERT INTO ended SELECT COALESCE(max(id), 0) FROM entries;
INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended, sent_class, sent_outcome)
    SELECT id, state, class, outcome, updated, next_lookup, told, version, '', 0, 'none', '{}' FROM entries;
INSERT INTO begun SELECT id, space, document, taxpayer, upstream, ref, caller, irn, reason, remarks, created, expires, 0, ''
    FROM entries;
DROP TABLE entries;
ALTER TABLE begun RENAME TO entries;

CREATE UNIQUE INDEX entries_document ON entries (document, space, taxpayer);
CREATE INDEX entries_taxpayer ON entries (taxpayer, id);
CREATE INDEX entries_caller ON entries (caller, id);
CREATE INDEX entries_upstream ON entries (upstream, id);

CREATE INDEX ends_open ON ends (state, next_lookup) WHERE state <> 'final';
CREATE INDEX ends_class ON ends (class, entry) WHERE class NOT IN ('none', 'cancelled');
CREATE INDEX ends_otherwise ON ends (entry)
    WHERE (class = 'cancelled' AND (told & 2) <> 0) OR (class IN ('refused', 'not_applied') AND (told & 1) <> 0);
CREATE UNIQUE INDEX ends_ref ON ends (ask_ref) WHERE ask_ref IS NOT NULL;
CREATE INDEX ends_told ON ends (ask_told_at, ask_class) WHERE ask_told_at IS NOT NULL;

-- +goose Down
CREATE TABLE whole (
    id          INTEGER PRIMARY KEY,
    space       TEXT    NOT NULL,
    document    TEXT    NOT NULL,
    taxpayer    TEXT    NOT NULL,
    upstream    TEXT    NOT NULL,
    ref         TEXT    NOT NULL,
    caller      TEXT    NOT NULL,
    irn         TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    remarks     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    class       TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    next_lookup INTEGER NOT NULL,
    told        INTEGER NOT NULL,
    version     INTEGER NOT NULL
) STRICT;
INSERT INTO whole SELECT e.id, e.space, e.document, e.taxpayer, e.upstream, e.ref, e.caller, e.irn, e.reason, e.remarks,
    COALESCE(x.state, 'sending'), COALESCE(x.class, 'none'), COALESCE(x.outcome, '{}'), e.created, COALESCE(x.updated, e.created),
    e.expires, COALESCE(x.next_lookup, 0), COALESCE(x.told, 0), COALESCE(x.version, 1)
    FROM entries e LEFT JOIN ends x ON x.entry = e.id;
-- Negative ids come before those of later sends and calls, as these did.
INSERT INTO attempts (id, entry, kind, started, ended, who, upstream, class, outcome, exchanges)
    SELECT -e.id, e.id, 'cancel', e.started, COALESCE(x.sent_ended, 0), e.who, COALESCE(x.sent_upstream, e.upstream),
    COALESCE(x.sent_class, x.class, 'none'), COALESCE(x.sent_outcome, x.outcome, '{}'), x.sent_exchanges
    FROM entries e LEFT JOIN ends x ON x.entry = e.id WHERE e.started > 0;
INSERT INTO asks (id, entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, told_at, how, soap_in, soap_out)
    SELECT -x.entry, x.entry, x.ask_ref, COALESCE(x.ask_caller, e.caller), '', '', '', COALESCE(x.ask_irn, e.irn),
    COALESCE(x.ask_reason, e.reason), COALESCE(x.ask_remarks, e.remarks), x.ask_received, x.ask_class, x.ask_told, x.ask_told_at,
    x.ask_how, x.ask_in, x.ask_out FROM ends x JOIN entries e ON e.id = x.entry WHERE x.ask_ref IS NOT NULL;
DROP TABLE ended;
DROP TABLE ends;
DROP TABLE entries;
ALTER TABLE whole RENAME TO entries;
CREATE UNIQUE INDEX entries_document ON entries (document, space, taxpayer);
CREATE INDEX entries_taxpayer ON entries (taxpayer, id);
CREATE INDEX entries_caller ON entries (caller, id);
CREATE INDEX entries_upstream ON entries (upstream, id);
CREATE INDEX entries_open ON entries (state, next_lookup) WHERE state <> 'final';
CREATE INDEX entries_class ON entries (class, id) WHERE class NOT IN ('none', 'cancelled');
CREATE INDEX entries_otherwise ON entries (id)
    WHERE (class = 'cancelled' AND (told & 2) <> 0) OR (class IN ('refused', 'not_applied') AND (told & 1) <> 0);
