#!/bin/sh
# Invoices 24E0451 and 24E0452 are one and the same to pandas and to DuckDB: both are infinity.
#
# Hurt: whoever reconciles cancellations by document number from CSV files. A column in which every number is
# a year, an E and a serial number is read as floating point. Joining two lists of three invoices gives nine pairs.
# The bridge: can do nothing; the reader has to be told that the column is text (dtype=str, all_varchar=true).
set -eu
command -v python3 >/dev/null || { echo "needs python3 of 3.11 or later with venv" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check --no-cache-dir install --no-compile pandas==3.1.1 numpy==2.4.6 duckdb==2.0.1

printf 'invoice,amount\n24E0451,100\n24E0452,200\n24E0453,300\n' >sold.csv
printf 'invoice,reason\n24E0451,1\n24E0452,2\n24E0453,3\n' >cancelled.csv
cat >play.py <<'EOF'
import duckdb, pandas
sold, cancelled = pandas.read_csv("sold.csv"), pandas.read_csv("cancelled.csv")
print("pandas reads", sold.invoice.tolist(), "and joins", len(sold.merge(cancelled, on="invoice")))
rows = duckdb.sql("SELECT invoice FROM 'sold.csv'").fetchall()
pairs = duckdb.sql("SELECT count(*) FROM 'sold.csv' JOIN 'cancelled.csv' USING (invoice)").fetchall()[0][0]
print("DuckDB reads", [r[0] for r in rows], "and joins", pairs)
EOF
seen=$(v/bin/python play.py)
echo "pandas 3.1.1, DuckDB 2.0.1; expected: three different texts, three pairs"
printf "%s\n" "$seen"
[ "$seen" = "pandas reads [inf, inf, inf] and joins 9
DuckDB reads [inf, inf, inf] and joins 9" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
