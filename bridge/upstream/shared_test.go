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
	guard, slots := old.Guard(client, "stays", time.Minute), old.Slots("org", 5)
	session := SessionFor(old, "stays", before.login, Plain[int]())
	get(t, session, 1)
	SessionFor(old, "goes", before.login, Plain[int]())

	next := old.Next()
	kept := SessionFor(next, "stays", after.login, Plain[int]())
	h := get(t, kept, 1)
	sameClient, err := next.Client(settings)
	if err != nil || sameClient.pool != client.pool || sameClient.host != client.host {
		t.Errorf("other connections or another breaker, %v", err)
	}
	if next.Guard(sameClient, "stays", time.Minute) != guard || next.Slots("org", 5) != slots {
		t.Error("another gate or other places")
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
	client := func(s *Shared, base string) *Client {
		c, err := s.Client(Settings{BaseURL: base})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	nic.Guard(client(nic, "https://api.example"), "a", time.Minute)
	nic.Guard(client(nic, "https://api.example"), "both", time.Minute)
	spare.Guard(client(spare, "https://api.example"), "both", time.Minute)
	spare.Guard(client(spare, "https://spare.example"), "both", time.Minute)
	login := (&teller{lives: time.Hour}).login
	SessionFor(spare, "b", login, Plain[int]())
	for name, tc := range map[string]struct {
		*Shared
		hosts, credentials, sessions int
	}{"nic": {nic, 1, 2, 0}, "spare": {spare, 2, 1, 1}, "all": {shared, 2, 2, 1}, "none": {shared.For("none"), 0, 0, 0}} {
		if h, c, s := len(tc.Hosts()), len(tc.Credentials()), len(tc.Sessions()); h != tc.hosts || c != tc.credentials || s != tc.sessions {
			t.Errorf("%s: %d hosts, %d credentials and %d sessions, want %d, %d and %d", name, h, c, s, tc.hosts, tc.credentials, tc.sessions)
		}
	}
}
