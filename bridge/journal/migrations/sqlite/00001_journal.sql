-- +goose Up
-- Times are microseconds since 1970 UTC; 0 means "never" or "not yet".

-- One row per taxpayer's wish to cancel one document. version counts changes of the row and of its attempts. told is
-- what callers were told last, each for himself, as bits: 1 some heard cancelled, 2 some refused or not applied.
CREATE TABLE entries (
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

-- The document comes first, so that the same index finds prefixes.
CREATE UNIQUE INDEX entries_document ON entries (document, space, taxpayer);
CREATE INDEX entries_open ON entries (state, next_lookup) WHERE state <> 'final';
CREATE INDEX entries_taxpayer ON entries (taxpayer, id);
CREATE INDEX entries_caller ON entries (caller, id);
CREATE INDEX entries_upstream ON entries (upstream, id);
CREATE INDEX entries_class ON entries (class, id) WHERE class NOT IN ('none', 'cancelled');
CREATE INDEX entries_otherwise ON entries (id)
    WHERE (class = 'cancelled' AND (told & 2) <> 0) OR (class IN ('refused', 'not_applied') AND (told & 1) <> 0);

-- Every send, lookup and verdict by hand. exchanges (JSON) are pruned earlier than the rest.
CREATE TABLE attempts (
    id        INTEGER PRIMARY KEY,
    entry     INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    started   INTEGER NOT NULL,
    ended     INTEGER NOT NULL,
    who       TEXT    NOT NULL,
    upstream  TEXT    NOT NULL,
    class     TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    exchanges TEXT
) STRICT;

CREATE INDEX attempts_entry ON attempts (entry);

-- What each caller asked and was told. entry is 0 when the bridge refused the call itself; only then taxpayer, space
-- and document are filled, otherwise they are the entry's.
CREATE TABLE asks (
    id       INTEGER PRIMARY KEY,
    entry    INTEGER NOT NULL,
    ref      TEXT    NOT NULL,
    caller   TEXT    NOT NULL,
    taxpayer TEXT    NOT NULL,
    space    TEXT    NOT NULL,
    document TEXT    NOT NULL,
    irn      TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    remarks  TEXT    NOT NULL,
    received INTEGER NOT NULL,
    class    TEXT    NOT NULL,
    told     TEXT    NOT NULL,
    told_at  INTEGER NOT NULL,
    how      TEXT    NOT NULL,
    soap_in  BLOB,
    soap_out BLOB
) STRICT;

CREATE INDEX asks_entry ON asks (entry) WHERE entry <> 0;
CREATE INDEX asks_refused ON asks (document) WHERE entry = 0;
CREATE INDEX asks_ref ON asks (ref);
CREATE INDEX asks_told ON asks (told_at, class);

CREATE TABLE tokens (
    hash    TEXT    PRIMARY KEY,
    caller  TEXT    NOT NULL,
    label   TEXT    NOT NULL,
    issued  INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    used    INTEGER NOT NULL
) STRICT;

CREATE TABLE gates (
    credential TEXT    PRIMARY KEY,
    class      TEXT    NOT NULL,
    until      INTEGER NOT NULL,
    text       TEXT    NOT NULL
) STRICT;

CREATE TABLE sends (
    key TEXT    NOT NULL,
    at  INTEGER NOT NULL
) STRICT;

CREATE INDEX sends_key ON sends (key, at);

CREATE TABLE instances (
    id      TEXT    PRIMARY KEY,
    started INTEGER NOT NULL,
    seen    INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE instances;
DROP TABLE sends;
DROP TABLE gates;
DROP TABLE tokens;
DROP TABLE asks;
DROP TABLE attempts;
DROP TABLE entries;
