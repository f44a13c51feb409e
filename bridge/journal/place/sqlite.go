package place

import (
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Open opens a handle of so many connections; mode is SQLite's: ro, rw, rwc.
func Open(path, mode string, connections int, pragmas ...string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, mode, pragmas))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// dsn is the driver's name for the file. The pragmas are per connection, so they belong here:
//
//   - WAL lets readers read while the one writer writes;
//   - synchronous=FULL makes a commit survive a power cut, which is the point of a journal.
func dsn(path, mode string, pragmas []string) string {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": append([]string{
		"busy_timeout(10000)", "synchronous(FULL)",
	}, pragmas...)}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// Hint says what an operator can do about an error of SQLite; empty when nobody knows, or it is none.
func Hint(err error) string {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Code() & 0xff { // the low byte is the kind, the rest its detail
	case lib.SQLITE_FULL:
		return "the disk is full, free some space on its file system"
	case lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return "it can't be written, check the permissions of the file and its folder and whether the disk is mounted read-only"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return "another program keeps it locked, end that (a database shell, a backup tool)"
	case lib.SQLITE_IOERR:
		return "the disk reports an error or a quota is used up, check both"
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return "the file is damaged or no journal, restore a backup"
	case lib.SQLITE_CANTOPEN:
		return "it can't be opened, check that its folder exists and may be written"
	}
	return ""
}
