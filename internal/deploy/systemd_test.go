package deploy

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	uifile "github.com/temporalio/ui-server/v2/plugins/fs_config_provider"
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
	if host, _, err := net.SplitHostPort(env["API_ADDR"]); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("the gateway answers in plain text at %s", env["API_ADDR"])
	}
	name, ok := strings.CutPrefix(env["WORKER_SECRET_FILE"], "%d/")
	if !ok || !strings.Contains(string(text), "\nLoadCredential="+name+":") {
		t.Errorf("no credential is %s", env["WORKER_SECRET_FILE"])
	}
}

// TestSystemdTakesTheUnits, where it is installed.
func TestSystemdTakesTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	units, err := filepath.Glob(filepath.Join(root, "examples/systemd/*.service"))
	if err != nil || len(units) != 2 {
		t.Fatalf("%v, %v", units, err)
	}
	for _, from := range units {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		unit := filepath.Join(t.TempDir(), filepath.Base(from))
		// What the unit starts need not be installed here.
		text = regexp.MustCompile(`/usr/local/bin/[a-z-]+`).ReplaceAll(text, []byte("/bin/true"))
		if err := os.WriteFile(unit, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
	}
}

// TestTheUIsConfiguration is read by the UI's own reader.
func TestTheUIsConfiguration(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join(root, "examples/systemd/temporal-ui.service"))
	if err != nil || !strings.Contains(string(unit), "--root /etc/temporal-ui --config . --env temporal-ui start") {
		t.Errorf("the unit reads another file: %v", err)
	}
	c, err := uifile.NewFSConfigProvider(filepath.Join(root, "examples/systemd"), "temporal-ui").GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil || !c.DisableWriteActions || !c.EnableUI || !net.ParseIP(c.Host).IsLoopback() || c.Port == temporalPort {
		t.Errorf("%+v, %v", c, err)
	}
}
