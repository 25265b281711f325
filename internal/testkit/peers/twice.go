package peers

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"toastmaster/internal/testkit/proc"
)

// RunOnBoth runs the tests of a package twice: on SQLite, and then on a PostgreSQL that
// use is told of and that ends after them. A test makes its database by what use was told.
// It returns the exit code. A list, a benchmark and a fuzz target run once.
func RunOnBoth(m *testing.M, use func(*Postgres)) int {
	flag.Parse()
	code := m.Run()
	for _, name := range []string{"test.list", "test.bench", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return code
		}
	}
	if code != 0 {
		return code
	}
	if _, err := proc.Find(PostgresProgram); err != nil {
		fmt.Printf("left out: the same on PostgreSQL: %v (Debian package %s)\n", err, PostgresPackage)
		if os.Getenv("CI") != "" {
			return 1
		}
		return code
	}
	fmt.Println("the same on PostgreSQL:")
	code, err := runOnPostgres(m, use)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

func runOnPostgres(m *testing.M, use func(*Postgres)) (code int, err error) {
	dir, err := MakeDir("")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	p, err := StartPostgres(context.Background(), PostgresOptions{Dir: dir})
	if err != nil {
		return 1, err
	}
	defer p.Close()
	use(p)
	return m.Run(), nil
}
