package journal

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/journal/engine"
)

const (
	tokenColumns = `hash, caller, label, issued, expires, revoked, used`
	selectToken  = `SELECT ` + tokenColumns + ` FROM tokens WHERE hash = $1`
	listTokens   = `SELECT ` + tokenColumns + ` FROM tokens ORDER BY issued, hash`
	insertToken  = `INSERT INTO tokens (` + tokenColumns + `) VALUES ($1, $2, $3, $4, $5, 0, 0)
		ON CONFLICT (hash) DO NOTHING`
	revokeToken = `UPDATE tokens SET revoked = $2 WHERE hash = $1 AND revoked = 0`
	// A use far ahead was noted by a clock that was ahead.
	touchToken = `UPDATE tokens SET used = $2 WHERE hash = $1 AND (used < $2 OR used > $2 + 3600000000)`
)

const (
	tokenFresh = 3 * time.Second // how long a token is believed without asking again: a revocation works within 5 s
	tokenRoom  = 10_000          // tokens remembered; one is a few hundred bytes
)

// tokenCache spares a query per call.
type tokenCache struct {
	mu   sync.Mutex
	by   map[string]cachedToken
	used map[string]int64 // last uses not on disk yet, in microseconds, to the minute
}

type cachedToken struct {
	bridge.Token
	read time.Time
}

// Issue keeps a new token. Its hash must not have been issued before.
func (j *Journal) Issue(ctx context.Context, t bridge.Token) error {
	doing := "keeping a token of " + t.Caller
	issued := bridge.Deed{At: t.Issued, Who: t.By, What: bridge.DidIssue, About: named(t.Hash) + " of " + t.Caller + ", " + cmp.Or(t.Label, "without a label")}
	n, err := j.putBy(ctx, issued, doing, insertToken, t.Hash, t.Caller, t.Label, micros(t.Issued), micros(t.Expires))
	if err == nil && n == 0 {
		err = fmt.Errorf("%s: the same token was issued before, choose another", doing)
	}
	return err
}

// Token finds an issued token by hash, and notes that it was used.
func (j *Journal) Token(ctx context.Context, hash string) (bridge.Token, error) {
	now, wall := time.Now(), j.Now()
	if t, ok := j.tokens.get(hash, now, wall); ok {
		return t, nil
	}
	t, err := j.readToken(ctx, hash)
	if err != nil {
		return t, err
	}
	j.tokens.put(t, now, wall)
	return t, nil
}

func (j *Journal) readToken(ctx context.Context, hash string) (bridge.Token, error) {
	all, err := j.readTokens(j.read.Point(ctx), selectToken, hash)
	switch {
	case err != nil:
		return bridge.Token{}, fmt.Errorf("looking up a token: %w", err)
	case len(all) == 0:
		return bridge.Token{}, bridge.ErrNoEntry
	}
	return all[0], nil
}

// Issued lists all tokens that are kept, oldest first.
func (j *Journal) Issued(ctx context.Context) ([]bridge.Token, error) {
	all, err := j.readTokens(j.read.Whole(ctx), listTokens)
	if err != nil {
		return nil, fmt.Errorf("listing tokens: %w", err)
	}
	return all, nil
}

func (j *Journal) readTokens(r *engine.Reading, query string, args ...any) (all []bridge.Token, err error) {
	r.Query(func(scan func(...any) error) error {
		var (
			t                              bridge.Token
			issued, expires, revoked, used int64
		)
		err := scan(&t.Hash, &t.Caller, &t.Label, &issued, &expires, &revoked, &used)
		t.Issued, t.Expires, t.Revoked, t.Used = at(issued), at(expires), at(revoked), at(used)
		all = append(all, t)
		return err
	}, query, args...)
	return all, j.explain(r.Err)
}

// named is a token as lists have it.
func named(hash string) string { return "token " + hash[:min(12, len(hash))] }

// Revoke ends a token everywhere within 5 s, as an operator wants it; ErrNoEntry when there is none that could be revoked.
func (j *Journal) Revoke(ctx context.Context, hash, by string) error {
	revoked := bridge.Deed{At: j.Now(), Who: by, What: bridge.DidRevoke, About: named(hash)}
	n, err := j.putBy(ctx, revoked, "revoking a token", revokeToken, hash, j.Now().UnixMicro())
	if err != nil {
		return err
	}
	j.tokens.forget(hash)
	if n == 0 {
		return bridge.ErrNoEntry
	}
	return nil
}

// flushTokens writes the last uses down.
func (j *Journal) flushTokens(ctx context.Context) error {
	used := j.tokens.takeUsed()
	if len(used) == 0 {
		return nil
	}
	return j.write(ctx, "", func(t *tx) error {
		for hash, minute := range used {
			t.Exec(touchToken, hash, minute)
		}
		return nil
	}, nil)
}

// get also notes the use: otherwise a busy token would seem unused while it is cached.
func (c *tokenCache) get(hash string, now, wall time.Time) (bridge.Token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.by[hash]
	if !ok || now.Sub(t.read) >= tokenFresh || now.Before(t.read) {
		return bridge.Token{}, false
	}
	c.touch(t.Token, wall)
	return t.Token, true
}

// put forgets everything when there are too many: tokens that live come back with their next use.
func (c *tokenCache) put(t bridge.Token, now, wall time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.by) >= tokenRoom || c.by == nil {
		c.by = map[string]cachedToken{}
	}
	c.by[t.Hash] = cachedToken{t, now}
	c.touch(t, wall)
}

// touch notes a use of a token that was good for it.
func (c *tokenCache) touch(t bridge.Token, now time.Time) {
	minute := now.Truncate(time.Minute)
	ahead := t.Used.Sub(minute)
	if !t.Revoked.IsZero() || !t.Expires.IsZero() && !now.Before(t.Expires) || ahead >= 0 && ahead <= time.Hour {
		return
	}
	if c.used == nil {
		c.used = map[string]int64{}
	}
	c.used[t.Hash] = minute.UnixMicro()
}

func (c *tokenCache) forget(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, hash)
}

func (c *tokenCache) takeUsed() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.used
	c.used = nil
	return used
}
