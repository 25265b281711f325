package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"toastmaster/configs"
)

// Bounds on what a stored hash may ask for, and sizes of what is made here
// (RFC 9106 section 4).
const (
	maxArgon2Memory  = 256 << 10 // KiB
	maxArgon2Time    = 64
	maxArgon2Threads = 64
	saltSize         = 16
	keySize          = 32
)

// argon2Params are m (KiB), t and p.
type argon2Params struct {
	memory, time uint32
	threads      uint8
}

// argon2Hash is a parsed "$argon2id$v=19$m=..,t=..,p=..$salt$key".
type argon2Hash struct {
	id bool // argon2id, otherwise argon2i
	argon2Params
	salt, key []byte
}

func (h argon2Hash) compute(password string) []byte {
	if h.id {
		return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	}
	return argon2.Key([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
}

func (h argon2Hash) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("{ARGON2ID}$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.memory, h.time, h.threads, enc.EncodeToString(h.salt), enc.EncodeToString(h.key))
}

func openArgon2(data []byte) (matcher, error) {
	h, err := parseArgon2(string(data))
	if err != nil {
		return nil, err
	}
	return func(password string) (bool, error) {
		return subtle.ConstantTimeCompare(h.compute(password), h.key) == 1, nil
	}, nil
}

func parseArgon2(s string) (argon2Hash, error) {
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return argon2Hash{}, fmt.Errorf("%w: no argon2 of version %d", ErrMalformed, argon2.Version)
	}
	h := argon2Hash{id: fields[1] == "argon2id"}
	if !h.id && fields[1] != "argon2i" {
		return argon2Hash{}, fmt.Errorf("%w: unknown kind of argon2", ErrMalformed)
	}
	var err error
	if h.argon2Params, err = parseArgon2Params(fields[3]); err != nil {
		return argon2Hash{}, err
	}
	if h.salt, err = encBase64.decode(fields[4]); err != nil {
		return argon2Hash{}, err
	}
	if h.key, err = encBase64.decode(fields[5]); err != nil {
		return argon2Hash{}, err
	}
	if len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 128 {
		return argon2Hash{}, fmt.Errorf("%w: argon2 salt or key too short or too long", ErrMalformed)
	}
	return h, nil
}

func parseArgon2Params(s string) (argon2Params, error) {
	var p argon2Params
	values := map[string]uint64{}
	for param := range strings.SplitSeq(s, ",") {
		name, text, _ := strings.Cut(param, "=")
		n, err := strconv.ParseUint(text, 10, 32)
		if _, twice := values[name]; err != nil || twice {
			return p, fmt.Errorf("%w: bad argon2 parameter", ErrMalformed)
		}
		values[name] = n
	}
	m, t, threads := values["m"], values["t"], values["p"]
	if len(values) != 3 || m < 8*threads || m > maxArgon2Memory || t < 1 || t > maxArgon2Time || threads < 1 || threads > maxArgon2Threads {
		return p, fmt.Errorf("%w: argon2 parameters out of bounds", ErrMalformed)
	}
	return argon2Params{memory: uint32(m), time: uint32(t), threads: uint8(threads)}, nil
}

// Hasher makes hashes. Safe for concurrent use.
type Hasher struct {
	full, bulk argon2Params
}

// NewHasher takes the strengths from the section [auth].
func NewHasher(c configs.Auth) *Hasher {
	params := func(memory int64, time int) argon2Params {
		// RFC 9106: at least 8 blocks of 1 KiB for each lane.
		return argon2Params{uint32(max(memory>>10, int64(8*c.Argon2Threads))), uint32(time), uint8(c.Argon2Threads)}
	}
	return &Hasher{
		full: params(c.Argon2Memory, c.Argon2Time),
		bulk: params(c.BulkArgon2Memory, c.BulkArgon2Time),
	}
}

// Hash makes a hash of full strength.
func (h *Hasher) Hash(password string) string { return hashArgon2(password, h.full) }

// BulkHash makes a hash that is cheap enough for thousands of passwords at
// once. It is replaced at the first log-in.
func (h *Hasher) BulkHash(password string) string { return hashArgon2(password, h.bulk) }

// Weak says that a hash which was just verified should be replaced: it is no
// argon2id, or has less memory or passes than Hash would use.
func (h *Hasher) Weak(hash string) bool {
	p, err := parse(hash)
	if err != nil {
		return false
	}
	a, err := parseArgon2(string(p.data))
	return err != nil || !a.id || a.memory < h.full.memory || a.time < h.full.time
}

func hashArgon2(password string, p argon2Params) string {
	h := argon2Hash{id: true, argon2Params: p, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	rand.Read(h.salt) // never fails (crypto/rand since Go 1.24)
	h.key = h.compute(password)
	return h.String()
}
