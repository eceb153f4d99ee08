package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// unreachable matches npm's errors if its registry can't be reached.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED`)

// TestOfficialClient runs Iterable's own published client against the sandbox, with the calls of
// its integration tests for lists. SANDBOX_DEFAULTS=1 runs those with the delays of the zero
// Config, which needs minutes.
func TestOfficialClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("installs a package with npm")
	}
	for _, tool := range []string{"npm", "node"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: Iterable's own client is not tried", tool)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "official-client"))); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		return cmd.CombinedOutput()
	}
	if out, err := run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"); err != nil {
		if unreachable.Match(out) {
			t.Skipf("npm reaches no registry: Iterable's own client is not tried\n%s", out)
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	realistic := Config{NewList: 3 * time.Second, Lag: 3 * time.Second}
	if os.Getenv("SANDBOX_DEFAULTS") != "" {
		realistic = Config{}
	}
	for script, config := range map[string]Config{"check.mjs": {Fast: true, KeepData: true}, "lists.mjs": realistic} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			c := serve(t, config)
			if out, err := run("node", script, c.url, c.key); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
