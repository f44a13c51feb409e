#!/bin/sh
# The same hundred commits of SQLite are fdatasync with one Go driver and fsync with two others, the two that most use.
#
# Hurt: whoever puts a journal, a queue or a ledger into SQLite from Go, with synchronous=FULL, on ext4 or XFS. SQLite asks
# for the cheaper call wherever it may, and SQLite as Linux distributions and Python have it makes it: a commit into a log
# that has its length already writes that, and nothing else. Two drivers compile SQLite without HAVE_FDATASYNC, so that each
# commit writes the file's times as well, through the file system's own journal. Nothing is lost by it but time.
# The bridge: it uses one of the two, and bears it.
# Source: https://sqlite.org/compile.html lists HAVE_FDATASYNC among the options; neither driver's documentation names it.
set -eu
for tool in go cc strace python3; do
	command -v $tool >/dev/null || { echo "needs Go 1.26, a C compiler, strace and Python 3: $tool is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
export GOMODCACHE="$dir/mod" GOFLAGS="-modcacherw -trimpath" CGO_ENABLED=1
go mod init play 2>/dev/null
go get modernc.org/sqlite@v1.60.1 github.com/mattn/go-sqlite3@v1.14.53 github.com/ncruces/go-sqlite3@v0.37.0 2>/dev/null

# calls PROGRAM...: how often it calls either, to the nearest hundred: opening and closing the file takes a few more.
calls() {
	rm -f play.db*
	strace -f -qq -e trace=fsync,fdatasync -o trace "$@"
	for call in fsync fdatasync; do
		n=$(grep -c " $call(" trace || true)
		echo "$call $((n / 100 * 100))"
	done | grep -v ' 0$'
}

driver() {
	mkdir -p "$2"
	cat >"$2/main.go" <<EOF
package main

import (
	"database/sql"

	_ "$1"
)

func main() {
	db, err := sql.Open("$3", "play.db")
	check(err)
	db.SetMaxOpenConns(1)
	for _, query := range []string{"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (x)"} {
		_, err = db.Exec(query)
		check(err)
	}
	for i := range 100 {
		_, err = db.Exec("INSERT INTO t VALUES (?)", i)
		check(err)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
EOF
	go build -o "$2/play" "./$2"
	echo "$1: $(calls "./$2/play")"
}

seen=$(
	driver modernc.org/sqlite modernc sqlite
	driver github.com/mattn/go-sqlite3 mattn sqlite3
	driver github.com/ncruces/go-sqlite3/driver ncruces sqlite3
)
cat >play.py <<'EOF'
import sqlite3
db = sqlite3.connect("play.db", isolation_level=None)
for query in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (x)"]:
    db.execute(query)
for i in range(100):
    db.execute("INSERT INTO t VALUES (?)", (i,))
EOF
echo "modernc.org/sqlite v1.60.1, mattn/go-sqlite3 v1.14.53, ncruces/go-sqlite3 v0.37.0; expected: fdatasync from all"
printf "%s\n" "$seen"
echo "for comparison, SQLite of this machine's Python: $(calls python3 play.py)"
[ "$seen" = 'modernc.org/sqlite: fsync 100
github.com/mattn/go-sqlite3: fsync 100
github.com/ncruces/go-sqlite3/driver: fdatasync 100' ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
