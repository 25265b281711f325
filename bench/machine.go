package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"toastmaster/internal/testkit/proc"
)

// machine is what the figures depend on.
type machine struct {
	rows [][2]string
}

// describeMachine asks the system and measures what a sync costs in dir.
func describeMachine(dir string, quick bool) (machine, error) {
	var m machine
	add := func(name, value string) { m.rows = append(m.rows, [2]string{name, value}) }
	add("Processor", fmt.Sprintf("%d x %s", runtime.NumCPU(), fieldOf("/proc/cpuinfo", "model name")))
	add("Memory", strings.TrimSpace(fieldOf("/proc/meminfo", "MemTotal")))
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		add("Kernel", strings.TrimSpace(string(b)))
	}
	add("File system", fileSystem(dir))
	add("Go", runtime.Version())
	add("Postfix", version("postconf", "-hd", "mail_version"))
	add("Dovecot", version("dovecot", "--version"))
	duration := 2 * time.Second
	if quick {
		duration /= 4
	}
	overwrite, err := syncRate(dir, duration)
	if err != nil {
		return m, err
	}
	create, err := createRate(dir, duration)
	if err != nil {
		return m, err
	}
	add("Disk, one writer", fmt.Sprintf("%.0f fdatasync/s of 8 KiB overwritten in a file, %.0f files of 4 KiB/s created with fsync of file and folder", overwrite, create))
	return m, nil
}

func version(program string, args ...string) string {
	path, err := proc.Find(program)
	if err != nil {
		return "not installed"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

// fieldOf is the first value with this name in a file of "name: value" lines.
func fieldOf(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		key, value, ok := strings.Cut(s.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// fileSystem is the type of the file system that holds dir.
func fileSystem(dir string) string {
	b, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "unknown"
	}
	best, kind := "", "unknown"
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		inside := f[1] == "/" || dir == f[1] || strings.HasPrefix(dir, f[1]+"/")
		if inside && len(f[1]) >= len(best) {
			best, kind = f[1], f[2]+" ("+f[3]+")"
		}
	}
	return kind
}

// syncRate is how often a second 8 KiB can be overwritten and synced.
func syncRate(dir string, d time.Duration) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, 16<<20)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	block, n, begin := make([]byte, 8<<10), 0, time.Now()
	for ; time.Since(begin) < d; n++ {
		if _, err := f.WriteAt(block, int64(n%2048)*8<<10); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// createRate is how many small files a second can be made durable, the way
// that a Maildir without a journal would. They stay (see lab.start).
func createRate(dir string, d time.Duration) (float64, error) {
	dir = filepath.Join(dir, "probes")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer folder.Close()
	block, n, begin := make([]byte, 4<<10), 0, time.Now()
	for ; time.Since(begin) < d; n++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			return 0, err
		}
		_, err = f.Write(block)
		if err == nil {
			err = f.Sync()
		}
		f.Close()
		if err == nil {
			err = folder.Sync()
		}
		if err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}
