package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheUnit checks the unit as systemd does, where it is installed, and that the
// worker gets what it reads.
func TestTheUnit(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "examples/systemd/segment-export-worker.service"))
	if err != nil {
		t.Fatal(err)
	}
	env, settings := map[string]string{}, map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		name, value, ok := strings.Cut(line, "=")
		switch {
		case !ok || strings.HasPrefix(line, "#"):
		case name == "Environment":
			name, value, _ = strings.Cut(value, "=")
			env[name] = value
		default:
			settings[name] = value
		}
	}
	known(t, env)
	stop, err := time.ParseDuration(env["STOP_TIMEOUT"])
	if err != nil {
		t.Fatal(err)
	}
	if has, err := time.ParseDuration(settings["TimeoutStopSec"]); err != nil || has <= stop {
		t.Errorf("the worker has %s to stop; STOP_TIMEOUT is %s", settings["TimeoutStopSec"], stop)
	}
	for folder, setting := range map[string]string{"/var/lib/": "StateDirectory", "/var/cache/": "CacheDirectory"} {
		found := false
		for _, value := range env {
			found = found || value == folder+settings[setting]
		}
		if !found || settings[setting+"Mode"] != "0700" {
			t.Errorf("%s is %q with mode %s, and no variable names it", setting, settings[setting], settings[setting+"Mode"])
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	unit := filepath.Join(t.TempDir(), "segment-export-worker.service")
	// What the unit starts need not be installed here.
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/worker", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
