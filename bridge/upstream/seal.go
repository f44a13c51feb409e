package upstream

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"einvoice-bridge/bridge"
)

// Form is how a token is written down, to be sealed, and read again.
type Form[T any] struct {
	Write func(T) ([]byte, error)
	Read  func([]byte) (T, error)
}

// Plain is the form of a token that JSON can hold as it is.
func Plain[T any]() Form[T] {
	return Form[T]{
		Write: func(t T) ([]byte, error) { return json.Marshal(t) },
		Read:  func(b []byte) (t T, err error) { return t, json.Unmarshal(b, &t) },
	}
}

// Seal makes sessions outlive the process: they are kept in sessions, encrypted with a key of 32 bytes. It comes before
// the first adapter.
func (s *Shared) Seal(sessions bridge.Sessions, key []byte) error {
	v, err := newVault(sessions, key)
	s.vault = v
	return err
}

// vault keeps sessions where all instances find them, and gives them out only to who has the seal.
type vault struct {
	sessions bridge.Sessions
	aead     cipher.AEAD
	seal     string // tells seals apart, and nothing of them
	who      string // takes turns
}

// A blob is its version, the seal's mark, and what AES-256-GCM makes of the token with a random nonce before it.
const (
	sealVersion = "\x01"
	markLen     = 4
)

func newVault(sessions bridge.Sessions, key []byte) (*vault, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("a seal is 32 bytes, this one has %d", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	mark := sha256.Sum256(append([]byte("einvoice-bridge seal "), key...))
	return &vault{
		sessions: sessions, aead: aead, seal: sealVersion + string(mark[:markLen]), who: rand.Text(),
	}, nil
}

// close makes a blob that only this seal opens, and only as the credential's.
func (v *vault) close(credential string, plain []byte) []byte {
	return v.aead.Seal([]byte(v.seal), nil, plain, []byte(credential))
}

// errOtherSeal: sessions are forgotten when the seal is.
var errOtherSeal = errors.New("sealed with another seal")

// open gives the token's form. A blob that says it is of this seal and isn't, was tampered with or damaged.
func (v *vault) open(credential string, blob []byte) ([]byte, error) {
	rest, ours := bytes.CutPrefix(blob, []byte(v.seal))
	if !ours {
		return nil, errOtherSeal
	}
	return v.aead.Open(nil, nil, rest, []byte(credential))
}

// unreadable counts a session that can't be opened, and tells of each once. It needs the lock.
func (s *holder[T]) unreadable(generation int64, err error) {
	if s.spoiltIs == generation || errors.Is(err, errOtherSeal) {
		return
	}
	s.spoiltIs = generation
	s.spoilt++
	s.log.Warn("a sealed session in the journal was tampered with or damaged; it is ignored", "credential", short(s.credential))
}

const (
	turnPoll = 100 * time.Millisecond // between two looks for what another instance's login has brought
	turnMost = bridge.LoginTurn + 5*time.Second
	putOff   = 10 * time.Second // of a renewal that another instance is at
)

// await finds a session that another process has kept, or takes the turn to log in: then ok is false, and after is the
// generation that the login's is to follow. Without a seal there is nothing to find and nobody to wait for.
func (s *Session[T]) await(ctx context.Context) (h Held[T], ok bool, after int64, err error) {
	if s.vault == nil {
		return h, false, 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, turnMost)
	defer cancel()
	for {
		if h, ok, after, err = s.find(ctx); ok || err != nil {
			return h, ok, after, err
		}
		mine, err := s.vault.sessions.LogIn(ctx, s.credential, s.vault.who, after)
		if err != nil {
			return h, false, after, sessionsFailed(err)
		}
		if mine {
			return h, false, after, nil
		}
		select {
		case <-time.After(turnPoll):
		case <-ctx.Done():
			return h, false, after, &Failure{bridge.Outcome{Class: bridge.NotApplied, Message: "another instance has been logging in for too long"}}
		}
	}
}

// find takes up the session that was kept last, unless it was held already. One that has expired is still what the next
// login starts from. generation is that of the session kept, whatever it is good for.
func (s *Session[T]) find(ctx context.Context) (h Held[T], ok bool, generation int64, err error) {
	kept, err := s.vault.sessions.Session(ctx, s.credential)
	if err != nil {
		return h, false, 0, sessionsFailed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept.Generation == 0 || kept.Generation == s.kept || s.valid && !kept.Until.After(s.lease.Until) {
		return h, false, kept.Generation, nil
	}
	plain, err := s.vault.open(s.credential, kept.Sealed)
	if err != nil {
		s.unreadable(kept.Generation, err)
		return h, false, kept.Generation, nil
	}
	token, err := s.form.Read(plain)
	if err != nil { // of another version of this program
		return h, false, kept.Generation, nil
	}
	h = s.set(Lease[T]{Token: token, Until: kept.Until, Renew: kept.Renew})
	s.kept, s.valid = kept.Generation, time.Now().Before(kept.Until)
	if s.valid { // another instance's login went well
		s.lastErr, s.held = nil, time.Time{}
	}
	return h, s.valid, kept.Generation, nil
}

// put keeps what a login after that generation brought, and ends the turn. A session that can't be kept, or that comes
// too late, is used by this process alone.
func (s *Session[T]) put(ctx context.Context, lease Lease[T], after int64) (generation int64) {
	if s.vault == nil {
		return 0
	}
	plain, err := s.form.Write(lease.Token)
	if err == nil {
		kept, keepErr := s.vault.sessions.Keep(ctx, s.credential, bridge.Session{
			Generation: after + 1, Until: lease.Until, Renew: lease.Renew, Sealed: s.vault.close(s.credential, plain),
		})
		if kept {
			return after + 1
		}
		err = keepErr
	}
	if err != nil {
		s.log.Warn("session was not kept", "credential", short(s.credential), "err", err)
		s.yield(ctx)
	}
	return 0
}

// yield ends the turn of a login that brought nothing.
func (s *Session[T]) yield(ctx context.Context) {
	if s.vault == nil {
		return
	}
	if err := s.vault.sessions.Yield(ctx, s.credential, s.vault.who); err != nil {
		s.log.Warn("others wait for a login that has failed", "credential", short(s.credential), "err", err)
	}
}

func sessionsFailed(err error) error {
	return journalFailed("sessions can't be read: ", "sessions: ", err)
}
