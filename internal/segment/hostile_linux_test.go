//go:build !race

package segment

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// mostMemory is the maximum memory for reading any segment, with a GOMEMLIMIT of three quarters
// of it (docs/security.md). The kernel limits the process to it.
const mostMemory = 2 << 30

// TestHostileFiles reads each file of the corpus in a separate process with limited memory.
func TestHostileFiles(t *testing.T) {
	if file := os.Getenv("HOSTILE_FILE"); file != "" {
		readHostile(t, file)
		return
	}
	if testing.Short() {
		t.Skip("some of the files are large")
	}
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hostile.file")
			data := h.make(t)
			writeBytes(t, path, data)
			size := len(data)
			data = nil
			runtime.GC()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileFiles$", "-test.v")
			cmd.Env = append(os.Environ(), "HOSTILE_FILE="+path, fmt.Sprintf("GOMEMLIMIT=%d", mostMemory/4*3))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%.4000s", err, out)
			}
			said := ""
			for line := range strings.Lines(string(out)) {
				if rest, ok := strings.CutPrefix(line, "RESULT "); ok {
					said = rest
				}
			}
			t.Logf("%d KB: %s", size>>10, said)
			if _, text, _ := strings.Cut(said, "|"); !strings.Contains(text, h.word) || (h.word == "") != (strings.TrimSpace(text) == "") {
				t.Errorf("the error %q lacks %q", text, h.word)
			}
		})
	}
}

// readHostile runs in the separate process.
func readHostile(t *testing.T, path string) {
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: mostMemory, Max: mostMemory}); err != nil {
		t.Fatal(err)
	}
	debug.SetTraceback("single")
	err := readAll(t, path, hostile{}.columns())
	text := ""
	if err != nil {
		explained(t, err)
		text = strings.ReplaceAll(err.Error(), "\n", " ")
	}
	fmt.Printf("\nRESULT %d MB|%s\n", peak(t), text)
}

// peak is the most memory that the process has taken so far, in MB.
func peak(t *testing.T) int {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kb int
		if _, err := fmt.Sscanf(s.Text(), "VmHWM: %d kB", &kb); err == nil {
			return kb >> 10
		}
	}
	t.Fatal("the system does not say how much memory was taken")
	return 0
}
