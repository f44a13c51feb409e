package bridge

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// PasswordHash is an argon2id hash as the configuration has it: "argon2id:" and a PHC string, with its parameters (RFC 9106).
type PasswordHash struct {
	Memory, Time uint32 // KiB, passes
	Threads      uint8
	Salt, Sum    []byte
}

// Bounds on the cost that a configured hash may ask for.
const mostMemory, mostTime, mostThreads = 256 << 10, 16, 16

// ParsePasswordHash reads one. The error is in words that may follow its name, and repeats nothing of it.
func ParsePasswordHash(s string) (h PasswordHash, err error) {
	phc, ok := strings.CutPrefix(s, "argon2id:")
	fields := strings.Split(phc, "$")
	if ok && strings.Contains(phc, "$$") {
		return h, errors.New("has $$ where $ belongs: only in the configuration itself may each be written twice, not in a variable or a file")
	}
	if !ok || len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v=19" {
		return h, errors.New(`is not "argon2id:$argon2id$v=19$m=…,t=…,p=…$salt$hash"; secrets are not kept in clear text`)
	}
	if n, err := fmt.Sscanf(fields[3]+"\n", "m=%d,t=%d,p=%d\n", &h.Memory, &h.Time, &h.Threads); n != 3 || err != nil {
		return h, errors.New("has argon2id parameters other than m=…,t=…,p=…")
	}
	if h.Memory < 8*uint32(h.Threads) || h.Memory > mostMemory || h.Time < 1 || h.Time > mostTime || h.Threads < 1 || h.Threads > mostThreads {
		return h, fmt.Errorf("has argon2id parameters out of bounds: m up to %d, t up to %d, p up to %d", mostMemory, mostTime, mostThreads)
	}
	var err1, err2 error
	h.Salt, err1 = base64.RawStdEncoding.DecodeString(fields[4])
	h.Sum, err2 = base64.RawStdEncoding.DecodeString(fields[5])
	if err1 != nil || err2 != nil || len(h.Salt) < 8 || len(h.Sum) < 16 {
		return h, errors.New("has an argon2id salt or hash that is no unpadded base64, or too short")
	}
	return h, nil
}
