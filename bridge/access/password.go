package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"einvoice-bridge/bridge"
)

// hash is an argon2id hash of a password or client secret, with its parameters (RFC 9106).
type hash struct {
	memory, time uint32 // KiB, passes
	threads      uint8
	salt, sum    []byte
	// last is a keyed digest of the secret that matched last, so that a caller who logs in with each call pays the
	// price of argon2id once per process.
	last atomic.Pointer[[sha256.Size]byte]
}

// What HashPassword uses (OWASP's recommendation).
const hashMemory, hashTime, hashThreads = 19 << 10, 2, 1

// HashPassword hashes a password or client secret for the configuration: "argon2id:" and a PHC string.
func HashPassword(secret string) string {
	h := &hash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, 16)}
	rand.Read(h.salt)
	h.sum = h.of(secret, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("argon2id:$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.memory, h.time, h.threads, b64(h.salt), b64(h.sum))
}

func (h *hash) of(secret string, size int) []byte {
	return argon2.IDKey([]byte(secret), h.salt, h.time, h.memory, h.threads, uint32(size))
}

func parseHash(s string) (*hash, error) {
	h, err := bridge.ParsePasswordHash(s)
	return &hash{memory: h.Memory, time: h.Time, threads: h.Threads, salt: h.Salt, sum: h.Sum}, err
}

// costlier returns the hash that takes more work; a may be nil.
func costlier(a, b *hash) *hash {
	if a == nil || uint64(b.memory)*uint64(b.time) > uint64(a.memory)*uint64(a.time) {
		return b
	}
	return a
}

// passwords compares secrets with hashes, so many at a time as the machine can bear.
type passwords struct {
	key   []byte // of hash.last; random per process
	slots chan struct{}
	// dummy is compared with when there is no such name, so that this takes as long. It matches nothing.
	dummy *hash
}

// parallel is how many comparisons may run at a time: each fills hash.memory, and keeps a processor busy.
var parallel = max(1, min(2, runtime.NumCPU()/2))

// restAfterWrong is how long, in lengths of its own, a wrong comparison keeps the next one waiting: strangers who guess
// get no more than a share of the processors, whatever their number.
const restAfterWrong = 2

func newPasswords(costliest *hash, before *passwords) *passwords {
	if before != nil {
		return &passwords{before.key, before.slots, unmatchable(costliest)}
	}
	p := &passwords{make([]byte, 32), make(chan struct{}, parallel), unmatchable(costliest)}
	rand.Read(p.key)
	return p
}

// unmatchable is a hash of nothing, at the price of another one or, without one, of HashPassword's.
func unmatchable(like *hash) *hash {
	h := &hash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, 16), sum: make([]byte, 32)}
	if like != nil {
		h.memory, h.time, h.threads = like.memory, like.time, like.threads
	}
	rand.Read(h.salt)
	rand.Read(h.sum)
	return h
}

func (p *passwords) digest(secret string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(secret))
	mac.Sum(sum[:0])
	return sum
}

// matchedLast reports whether secret is the one that matched h last.
func (p *passwords) matchedLast(h *hash, secret string) bool {
	last := h.last.Load()
	sum := p.digest(secret)
	return last != nil && subtle.ConstantTimeCompare(last[:], sum[:]) == 1
}

// match compares secret with h, at full cost unless it matched before. A slot must be held.
func (p *passwords) match(h *hash, secret string) bool {
	if p.matchedLast(h, secret) {
		return true
	}
	if subtle.ConstantTimeCompare(h.of(secret, len(h.sum)), h.sum) != 1 {
		return false
	}
	sum := p.digest(secret)
	h.last.Store(&sum)
	return true
}
