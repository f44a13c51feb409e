package journal

import (
	"path/filepath"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// A journal of before environments were kept apart: what the sandbox's upstream wrote moves to a space of its own, once;
// what is told of production stays. MyInvois' ids get one spelling.
func TestOldJournalIsPartedByEnvironment(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "j.db")
	open := func() *Journal {
		j, err := Open(ctx, "sqlite:"+path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	begin := func(j *Journal, space, document, upstream string) {
		now := time.Now()
		if _, _, err := j.Begin(ctx, bridge.Begin{Entry: bridge.Entry{Key: bridge.Key{Space: space, Document: document}, Taxpayer: "T",
			Upstream: upstream, Created: now, Expires: now}}); err != nil {
			t.Fatal(err)
		}
	}
	j := open()
	begin(j, "irp", "a", "sandbox-nic")
	begin(j, "irp", "b", "nic")
	begin(j, "myinvois", "f9d425p6ds7d8iuf9d425p6ds7", "my")
	if n, err := j.MoveSpace(ctx, "nic", "irp", "irp/sandbox"); n != 0 || err != nil {
		t.Errorf("a journal of today's: %d moved, %v", n, err)
	}
	j.Close()
	if err := Downgrade(ctx, "sqlite:"+path, 3); err != nil {
		t.Fatal(err)
	}

	j = open()
	defer j.Close()
	if n, err := j.MoveSpace(ctx, "sandbox-nic", "irp", "irp/sandbox"); n != 1 || err != nil {
		t.Errorf("an old journal: %d moved, %v", n, err)
	}
	for _, k := range []bridge.Key{{Space: "irp/sandbox", Document: "a"}, {Space: "irp", Document: "b"}, {Space: "myinvois", Document: "F9D425P6DS7D8IUF9D425P6DS7"}} {
		if _, err := j.Find(ctx, k, "T"); err != nil {
			t.Errorf("%v: %v", k, err)
		}
	}
}
