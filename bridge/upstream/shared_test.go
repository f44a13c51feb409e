package upstream

import (
	"slices"
	"testing"
	"time"
)

// A changed configuration finds connections, session and breaker of the credentials that stay, logs in its own way, and
// is rid of those that go. Building it changes nothing for the one at work.
func TestNext(t *testing.T) {
	old := newShared()
	before, after := &teller{lives: time.Hour}, &teller{lives: time.Hour}
	settings := Settings{BaseURL: "https://api.example"}
	client, err := old.Client(settings)
	if err != nil {
		t.Fatal(err)
	}
	guard, slots := old.Guard("stays", time.Minute), old.Slots("org", 5)
	session := SessionFor(old, "stays", before.login, Plain[int]())
	get(t, session, 1)
	SessionFor(old, "goes", before.login, Plain[int]())

	next := old.Next()
	kept := SessionFor(next, "stays", after.login, Plain[int]())
	h := get(t, kept, 1)
	sameClient, err := next.Client(settings)
	if err != nil || sameClient.pool != client.pool {
		t.Errorf("other connections, %v", err)
	}
	if next.Guard("stays", time.Minute) != guard || next.Slots("org", 5) != slots {
		t.Error("another breaker or other places")
	}
	if next.Slots("org", 6) == slots {
		t.Error("six places are the old five")
	}
	SessionFor(next, "comes", after.login, Plain[int]())

	kept.Drop(h)
	get(t, kept, 2)
	if got := get(t, session, 2); got.generation != 2 {
		t.Errorf("the old adapter holds generation %d, want the new login's", got.generation)
	}
	if len(before.asked()) != 1 || len(after.asked()) != 1 {
		t.Errorf("%d logins the old way, %d the new; want one each", len(before.asked()), len(after.asked()))
	}
	for name, tc := range map[string]struct {
		*Shared
		want []string
	}{"old": {old, []string{"goes", "stays"}}, "next": {next, []string{"comes", "stays"}}, "after next": {next.Next(), nil}} {
		var got []string
		for _, i := range tc.Sessions() {
			got = append(got, i.Credential)
		}
		if slices.Sort(got); !slices.Equal(got, tc.want) {
			t.Errorf("%s has the sessions %v, want %v", name, got, tc.want)
		}
	}
}

// Each upstream's view shows what its own adapters asked for, also what another upstream uses too.
func TestForShowsAnUpstreamsOwn(t *testing.T) {
	shared := newShared()
	nic, spare := shared.For("nic"), shared.For("spare")
	nic.Guard("a", time.Minute)
	nic.Guard("both", time.Minute)
	spare.Guard("both", time.Minute)
	login := (&teller{lives: time.Hour}).login
	SessionFor(spare, "b", login, Plain[int]())
	for name, tc := range map[string]struct {
		*Shared
		guards, sessions int
	}{"nic": {nic, 2, 0}, "spare": {spare, 1, 1}, "all": {shared, 2, 1}, "none": {shared.For("none"), 0, 0}} {
		if g, s := len(tc.Guards()), len(tc.Sessions()); g != tc.guards || s != tc.sessions {
			t.Errorf("%s: %d guards and %d sessions, want %d and %d", name, g, s, tc.guards, tc.sessions)
		}
	}
}
