#!/bin/sh
# The same INSERT of the same values through pgx stores another hour, another day and another text when the exec mode changes.
#
# Hurt: whoever sets default_query_exec_mode=exec (as one does for PgBouncer) for a program that worked. In the default mode
# pgx knows the column's type and drops a time's zone; in exec mode PostgreSQL converts it to the session's zone. An invoice
# cancelled at 02:00 in India moves to the day before, and bytes for a text column become their hexadecimal notation.
# The bridge: its columns hold times as BIGINT and bytes as BYTEA.
# Source: pgx documents that exec mode goes by the Go type, and warns of []byte for text; of times it says nothing.
set -eu
for tool in go npm; do
	command -v $tool >/dev/null || { echo "needs Go 1.26 and Node 20 with npm: $tool is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
npm install --silent --no-audit --no-fund --legacy-peer-deps @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17
cat >serve.mjs <<'EOF'
import { writeFileSync } from "fs";
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
const server = new PGLiteSocketServer({ db: await PGlite.create(), host: "127.0.0.1", port: 0 });
server.addEventListener("listening", e => writeFileSync("port", String(e.detail.port)));
await server.start();
EOF
node serve.mjs &
server=$!

cat >main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

func main() {
	ctx := context.Background()
	at := time.Date(2026, 12, 1, 2, 0, 0, 0, time.FixedZone("IST", 19800))
	db, err := pgx.Connect(ctx, "postgres://postgres@127.0.0.1:"+os.Args[1]+"/postgres?sslmode=disable&timezone=UTC")
	check(err)
	_, err = db.Exec(ctx, "CREATE TABLE cancelled (at timestamp, day date, remark text)")
	check(err)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		var stamp, day, remark string
		check(db.QueryRow(ctx, "INSERT INTO cancelled VALUES ($1, $2, $3) RETURNING at::text, day::text, remark",
			mode, at, at, []byte("wrong buyer")).Scan(&stamp, &day, &remark))
		fmt.Printf("%s: timestamp %s, date %s, text %s\n", mode, stamp, day, remark)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
EOF
export GOMODCACHE="$dir/mod" GOFLAGS="-modcacherw -trimpath"
go mod init play 2>/dev/null
go get github.com/jackc/pgx/v5@v5.12.0 2>/dev/null
go build -o play .
for _ in $(seq 60); do [ -s port ] && break; sleep 1; done
seen=$(./play "$(cat port)")
echo "pgx v5.12.0, PGlite 0.5.14; expected: the same three values, or an error"
printf "%s\n" "$seen"
[ "$seen" = 'cache statement: timestamp 2026-12-01 02:00:00, date 2026-12-01, text wrong buyer
exec: timestamp 2026-11-30 20:30:00, date 2026-11-30, text \x77726f6e67206275796572' ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
