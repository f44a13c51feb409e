#!/bin/sh
# "IST" is India to one reader, Israel to the next and Greenwich to a third, and one JDK alone knows all three.
#
# Hurt: whoever writes the Indian authority's dates ("2026-11-30 14:18:00", Indian time) with the usual letters behind them:
# readers disagree by five and a half hours, and none of them complains. Even a JDK whose own zone is India's does it.
# The bridge: hands dates on as the authority wrote them, and never writes a zone's letters.
# Source: PostgreSQL's manual has IST as Israel's in its default abbreviations; java.util.TimeZone has it as India's.
set -eu
for tool in java npm; do
	command -v $tool >/dev/null || { echo "needs a JDK of 11 or later, and Node 20 with npm: $tool is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
npm install --silent --no-audit --no-fund @electric-sql/pglite@0.5.14

cat >Ist.java <<'EOF'
import java.text.*;
import java.time.*;
import java.time.format.*;
import java.util.*;
class Ist {
	public static void main(String[] args) throws Exception {
		String form = "yyyy-MM-dd HH:mm:ss";
		SimpleDateFormat named = new SimpleDateFormat(form);
		named.setTimeZone(TimeZone.getTimeZone("IST"));
		System.out.println("java TimeZone.getTimeZone: " + named.parse("2026-11-30 14:18:00").toInstant());
		SimpleDateFormat read = new SimpleDateFormat(form + " z", Locale.ENGLISH);
		System.out.println("java SimpleDateFormat: " + read.parse("2026-11-30 14:18:00 IST").toInstant());
		DateTimeFormatter modern = DateTimeFormatter.ofPattern(form + " z", Locale.ENGLISH);
		System.out.println("java ZonedDateTime: " + ZonedDateTime.parse("2026-11-30 14:18:00 IST", modern).toInstant());
	}
}
EOF
cat >ist.mjs <<'EOF'
import { PGlite } from "@electric-sql/pglite";
const db = new PGlite();
const { rows } = await db.query(`SELECT to_char('2026-11-30 14:18:00 IST'::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS t`);
console.log("PostgreSQL timestamptz: " + rows[0].t);
EOF
seen=$(echo "in a machine on UTC"
	java -Duser.timezone=UTC Ist.java
	node ist.mjs
	echo "in a machine on Indian time"
	java -Duser.timezone=Asia/Kolkata Ist.java)
echo "$(java -version 2>&1 | head -n 1), PGlite 0.5.14; expected: India's 08:48 everywhere, or an error"
printf "%s\n" "$seen"
[ "$seen" = "in a machine on UTC
java TimeZone.getTimeZone: 2026-11-30T08:48:00Z
java SimpleDateFormat: 2026-11-30T12:18:00Z
java ZonedDateTime: 2026-11-30T14:18:00Z
PostgreSQL timestamptz: 2026-11-30T12:18:00Z
in a machine on Indian time
java TimeZone.getTimeZone: 2026-11-30T08:48:00Z
java SimpleDateFormat: 2026-11-30T08:48:00Z
java ZonedDateTime: 2026-11-30T14:18:00Z" ] || { echo "CHANGED: not what this finding says any more (seen with JDK 17)" >&2; exit 1; }
