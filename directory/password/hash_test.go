package password

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"toastmaster/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDovecotVectors: hashes made by another program.
func TestDovecotVectors(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/dovecot.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		password, hash, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			continue
		}
		n++
		wantVerify(t, hash, password, true)
		wantVerify(t, hash, password+"x", false)
		wantVerify(t, hash, "", false)
	}
	if n < 50 {
		t.Errorf("only %d vectors", n)
	}
}

// TestPublishedVectors: from the specifications and from other programs.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ hash, password string }{
		// openssl passwd
		{"$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.", "secret"},
		{"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"},
		{"$1$abcd$Oy8OD9LGKv7H9yIMreLNV1", "secret"},
		{"{CRYPT}$1$abcd$Oy8OD9LGKv7H9yIMreLNV1", "secret"},
		{"{crypt}$1$abcd$Oy8OD9LGKv7H9yIMreLNV1", "secret"},
		// sha1sum, sha256sum, md5sum
		{"{SHA.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4", "secret"},
		{"{SHA256}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", "secret"},
		{"{PLAIN-MD5}5EBE2294ECD0E0F08EAB7690D2A6EE69", "secret"},
		{"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ", "secret"}, // no padding
	} {
		wantVerify(t, c.hash, c.password, true)
		wantVerify(t, c.hash, c.password+" ", false)
	}
}

func wantVerify(t *testing.T, hash, password string, want bool) {
	t.Helper()
	got, err := Verify(hash, password)
	if err != nil || got != want {
		t.Errorf("Verify(%s, %q) = %v, %v", hash, password, got, err)
	}
}

func TestLongBcryptPasswordIsCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 8)
	f, err := os.ReadFile("testdata/bcrypt80.txt")
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.TrimSpace(string(f))
	wantVerify(t, hash, long, true)
	wantVerify(t, hash, long[:72], true)
	wantVerify(t, hash, long[:71], false)
}

func TestMalformedHashes(t *testing.T) {
	t.Parallel()
	for _, hash := range []string{
		"x", "{", "{}", "{NOPE}x", "{SHA", "{SHA.zip}x", "{SHA}x", "{SHA}####", "{SSHA}aGVsbG8=", "{PLAIN-MD5}zz",
		"{CRYPT}ab01FAX.bQRSU", "{ARGON2ID}", "{ARGON2ID}$argon2id$v=18$m=64,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"{ARGON2ID}$argon2d$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"{ARGON2ID}$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"{ARGON2ID}$argon2id$v=19$m=64,t=4294967295,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"{ARGON2ID}$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"{ARGON2ID}$argon2id$v=19$m=64,t=1,t=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$", "$6$rounds=999999999$salt$" + strings.Repeat("a", 86),
		"$6$salt$short", "$2y$31$" + strings.Repeat("a", 53), "$2y$05$short", "$1$salt$short",
		"{PBKDF2}$1$salt$999999999$00", "{PBKDF2}$2$salt$1$00",
	} {
		if ok, err := Verify(hash, "x"); ok || !errors.Is(err, ErrMalformed) {
			t.Errorf("Verify(%q) = %v, %v", hash, ok, err)
		}
		if err := Check(hash); !errors.Is(err, ErrMalformed) {
			t.Errorf("Check(%q) = %v", hash, err)
		}
	}
	if ok, err := Verify("", ""); ok || err != nil {
		t.Errorf("an empty hash: %v, %v", ok, err)
	}
}

func cheap() configs.Auth {
	c := configs.Default().Auth
	c.Argon2Memory, c.Argon2Time = 256<<10, 1
	c.BulkArgon2Memory = 64 << 10
	c.FailureAnswer = 0
	return c
}

func TestHasher(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap())
	full, bulk := h.Hash("sécret"), h.BulkHash("sécret")
	for _, hash := range []string{full, bulk} {
		wantVerify(t, hash, "sécret", true)
		wantVerify(t, hash, "secret", false)
	}
	if full == h.Hash("sécret") {
		t.Error("the same salt twice")
	}
	for hash, weak := range map[string]bool{
		full: false, bulk: true, "{PLAIN}x": true, "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=": true,
		NewHasher(configs.Default().Auth).Hash("x"): false,
	} {
		if h.Weak(hash) != weak {
			t.Errorf("Weak(%s) = %v", hash, !weak)
		}
	}
}

// TestDefaultStrength: RFC 9106 and OWASP name 19 MiB and two passes as the
// least for argon2id.
func TestDefaultStrength(t *testing.T) {
	t.Parallel()
	hash := NewHasher(configs.Default().Auth).Hash("x")
	if !strings.HasPrefix(hash, "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("made %s", hash)
	}
}

// TestFewBlocksManyLanes: allowed parameters never make an unreadable hash.
func TestFewBlocksManyLanes(t *testing.T) {
	t.Parallel()
	c := configs.Default().Auth
	c.Argon2Memory, c.Argon2Time, c.Argon2Threads = 64<<10, 1, 16
	wantVerify(t, NewHasher(c).Hash("x"), "x", true)
}

func FuzzVerify(f *testing.F) {
	for _, s := range []string{
		"{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd", "{PLAIN.HEX}736563726574", "$1$abcd$Oy8OD9LGKv7H9yIMreLNV1",
		"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "{PBKDF2}$1$VYbRl3uihzqPUT7X$1$a434f29cc4a5963f6276ec37d6a9f870124dc044",
		"$2y$04$......................u7DbvmN5NYOGlXXbIC9dO0rRKMZYFmK", "{}", "{.}", "$6$rounds=1000$a$",
	} {
		f.Add(s, "secret")
	}
	f.Fuzz(func(t *testing.T, hash, password string) {
		if expensive(hash) {
			return
		}
		ok, err := Verify(hash, password)
		if ok && err != nil {
			t.Errorf("both: %v", err)
		}
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("other error: %v", err)
		}
	})
}

// expensive keeps the fuzzer from spending its time in honest hashing.
func expensive(hash string) bool {
	p, err := parse(hash)
	if err != nil || len(p.data) > 1000 {
		return err == nil
	}
	s := string(p.data)
	if a, err := parseArgon2(s); err == nil {
		return a.memory > 1024 || a.time > 2 || a.threads > 4
	}
	return strings.Contains(s, "rounds=") && len(s) > 90 || strings.HasPrefix(s, "$2") && !strings.HasPrefix(s, "$2y$04$") ||
		p.scheme.name == "PBKDF2" && !strings.Contains(s, "$1$a")
}

func BenchmarkHash(b *testing.B) {
	h := NewHasher(configs.Default().Auth)
	b.Run("full", func(b *testing.B) {
		for b.Loop() {
			h.Hash("secret")
		}
	})
	b.Run("bulk", func(b *testing.B) {
		for b.Loop() {
			h.BulkHash("secret")
		}
	})
}
