package engine

import "testing"

func TestNameless(t *testing.T) {
	for query, want := range map[string]string{
		"INSERT INTO t VALUES ($1, 'x', $2)":             "INSERT INTO t VALUES (?, 'x', ?)",
		"SELECT $1, $2 WHERE NOT EXISTS (x = $3)":        "SELECT ?, ? WHERE NOT EXISTS (x = ?)",
		"UPDATE t SET a = $2 WHERE id = $1":              "UPDATE t SET a = $2 WHERE id = $1",
		"SELECT 1 FROM t WHERE a = $1 OR b = $1":         "SELECT 1 FROM t WHERE a = $1 OR b = $1",
		"SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10": "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?",
		"COMMIT": "COMMIT",
	} {
		if got := nameless(query); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}
