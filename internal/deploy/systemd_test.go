package deploy

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	uifile "github.com/temporalio/ui-server/v2/plugins/fs_config_provider"

	"iterable-segment-export/internal/config"
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

// TestTheUnitsFiles: the page has the reader install each file that the unit reads, and its
// connections are ones that the worker takes, with keys that the unit hands over.
func TestTheUnitsFiles(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join(root, "examples/systemd/segment-export-worker.service"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/deploying.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## With systemd")
	for _, file := range regexp.MustCompile(`(?m)^(?:Load|Env).*[=:-](/etc/segment-export/\S+)$`).FindAllStringSubmatch(string(unit), -1) {
		dir, name := filepath.Split(file[1])
		installed := regexp.MustCompile(`(?m)^sudo install -m \d+ .*(` + regexp.QuoteMeta(file[1]) + `|\b` + regexp.QuoteMeta(name) + `.* ` + dir + `)$`)
		if !installed.MatchString(section) {
			t.Errorf("the page installs no %s", file[1])
		}
	}
	_, text, _ := strings.Cut(section, "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	dir := t.TempDir()
	for _, key := range regexp.MustCompile(`/run/credentials/segment-export-worker\.service/([\w-]+)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(unit), "\nLoadCredential="+key[1]+":") {
			t.Errorf("the unit hands over no %s", key[1])
		}
		if err := os.WriteFile(filepath.Join(dir, key[1]), []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, key[0], filepath.Join(dir, key[1]))
	}
	file := filepath.Join(dir, "connections.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.OpenConnections(file, slog.New(slog.DiscardHandler)); err != nil || len(c.Names()) != 1 {
		t.Errorf("the page's connections: %v", err)
	}
}

// TestTheUnitsMemory is enough for what the worker may take of it.
func TestTheUnitsMemory(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join(root, "examples/systemd/segment-export-worker.service"))
	if err != nil {
		t.Fatal(err)
	}
	number := func(pattern string) int64 {
		t.Helper()
		found := regexp.MustCompile(`(?m)^` + pattern + `$`).FindSubmatch(unit)
		if found == nil {
			t.Fatalf("the unit has no line %s", pattern)
		}
		n, err := strconv.ParseInt(string(found[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	memory, slots, soft := number(`MemoryMax=(\d+)G`), number(`Environment=STAGING_SLOTS=(\d+)`), number(`Environment=GOMEMLIMIT=(\d+)GiB`)
	if memory<<30 < slots*mostOfAFile || soft >= memory {
		t.Errorf("the worker may take %d GB for %d files, and collects garbage at %d GB", memory, slots, soft)
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
