package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// source writes a module with one program, and returns its folder.
func source(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module program\n\ngo 1.26\n", "main.go": "package main\n\n" + body + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// said is the output of a build. begun is closed at its first write.
type said struct {
	strings.Builder
	begun chan struct{}
}

func (s *said) Write(p []byte) (int, error) {
	if s.Len() == 0 {
		close(s.begun)
	}
	return s.Builder.Write(p)
}

// TestABuildSaysWhatHappens builds a small program: at once, and so long that it is
// told. The list of packages never comes.
func TestABuildSaysWhatHappens(t *testing.T) {
	dir := source(t, `func main() { println("here") }`)
	bin := filepath.Join(t.TempDir(), "program")
	for _, c := range []struct {
		quiet time.Duration
		want  string
	}{{time.Hour, ""}, {0, "Building Temporal's server"}} {
		out := said{begun: make(chan struct{})}
		if err := os.RemoveAll(bin); err != nil {
			t.Fatal(err)
		}
		blocks := func(ctx context.Context, _, _ string) int {
			select {
			case <-out.begun:
				<-ctx.Done()
			default:
				t.Error("packages are listed before anything is said")
			}
			return 0
		}
		if err := (build{dir: dir, program: "program", bin: bin, out: &out, quiet: c.quiet, every: time.Hour, count: blocks}).run(); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), c.want) || c.want == "" && out.Len() > 0 {
			t.Errorf("it says %q, want %q", out.String(), c.want)
		}
		if out, err := exec.Command(bin).CombinedOutput(); err != nil || string(out) != "here\n" {
			t.Errorf("the program says %q, %v", out, err)
		}
	}
}

// TestABuildSaysHowManyPackages there are, once Go has listed them.
func TestABuildSaysHowManyPackages(t *testing.T) {
	dir := source(t, `func main() {}`)
	if n := packages(t.Context(), dir, "program"); n < 5 {
		t.Errorf("there are %d packages", n)
	}
	if n := packages(t.Context(), dir, "nowhere"); n != 0 {
		t.Errorf("a program that does not exist has %d packages", n)
	}
}

func TestABuildThatFails(t *testing.T) {
	err := build{dir: source(t, `func main() { nothing() }`), program: "program", bin: filepath.Join(t.TempDir(), "program"), quiet: time.Hour}.run()
	if err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("%v", err)
	}
}

// TestTheProgramIsThere under the name that is built.
func TestTheProgramIsThere(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Name}}", stack).CombinedOutput()
	if err != nil || string(out) != "main\n" {
		t.Errorf("%s: %s, %v", stack, out, err)
	}
}

func TestWhatGoBuildWrites(t *testing.T) {
	var l listener
	for _, part := range []string{"go: downloading a v1\ngo: downloading b v2\n", "fmt\nexample.org/", "a/b\n# example.org/c\nmain.go:3:1: wrong\n"} {
		if _, err := l.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if part[0] == 'g' && l.progress() != "2 modules fetched" {
			t.Error(l.progress())
		}
	}
	if got := l.progress() + "; " + l.rest(); got != "2 packages compiled; # example.org/c\nmain.go:3:1: wrong\n" {
		t.Errorf("%q", got)
	}
}
