package deploy

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// buildFlags are what the Dockerfile builds the worker and the starter with.
func buildFlags(t *testing.T) []string {
	t.Helper()
	stages := readStages(t)
	var flags []string
	for _, name := range []string{"build", "build-worker"} {
		for _, i := range find(t, stages, name).lines {
			text := i.word + " " + i.rest
			if m := regexp.MustCompile(`GOFLAGS="([^"]*)"`).FindStringSubmatch(text); m != nil {
				flags = append(flags, strings.Fields(m[1])...)
			}
			if m := regexp.MustCompile(`go build -ldflags "([^"]*)"`).FindStringSubmatch(text); m != nil {
				flags = append(flags, "-ldflags", strings.ReplaceAll(m[1], "$VERSION", "1.2.3"))
			}
		}
	}
	return flags
}

// TestBuildsTakeNothingOfTheirPlace: what makes binaries differ is left out.
func TestBuildsTakeNothingOfTheirPlace(t *testing.T) {
	flags := strings.Join(buildFlags(t), " ")
	for _, want := range []string{"-trimpath", "-buildvcs=false", "-ldflags -s -w -X main.version=1.2.3"} {
		if !strings.Contains(flags, want) {
			t.Errorf("the Dockerfile builds with %q, without %s", flags, want)
		}
	}
}

// TestBinariesAreReproducible builds the starter in two folders, with caches of
// nothing in common, and compares.
func TestBinariesAreReproducible(t *testing.T) {
	if os.Getenv("REPRODUCE") == "" {
		t.Skip("takes minutes; set REPRODUCE=1")
	}
	var sums [2][sha256.Size]byte
	for i := range sums {
		dir := filepath.Join(t.TempDir(), strings.Repeat("deeper/", i), "source")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"go.mod", "go.sum", "schemas", "starter", "internal"} {
			if out, err := exec.Command("cp", "-R", filepath.Join(root, name), dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		bin := filepath.Join(dir, "starter.bin")
		cmd := exec.Command("go", append(append([]string{"build"}, buildFlags(t)...), "-o", bin, "./starter")...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOCACHE="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		data, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(dir)) {
			t.Errorf("the binary names the folder that it was built in")
		}
		out, err := exec.Command(bin, "--version").Output()
		if err != nil || !bytes.Contains(out, []byte("1.2.3")) {
			t.Errorf("starter --version: %s, %v", out, err)
		}
		sums[i] = sha256.Sum256(data)
	}
	if sums[0] != sums[1] {
		t.Errorf("the same source gives %x and %x", sums[0], sums[1])
	}
}
