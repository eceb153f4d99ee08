package deploy

import (
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/emulators"
)

//go:embed grafana/package.json
var grafanaManifest []byte

//go:embed grafana/package-lock.json
var grafanaLock []byte

//go:embed grafana/schema.ts
var grafanaSchema []byte

func dashboard(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "examples", "grafana", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTheDashboardHasGrafanasSchema has TypeScript compare the dashboard with Grafana's own types,
// of the version that docker-compose.yml runs. Settings that do not exist are errors too.
func TestTheDashboardHasGrafanasSchema(t *testing.T) {
	packages, err := emulators.NPM("grafana", grafanaManifest, grafanaLock)
	if err != nil {
		t.Skipf("Grafana's types are not installed: %v", err)
	}
	good := dashboard(t)
	for _, c := range []struct{ name, from, to, want string }{
		{name: "as it is"},
		{"a setting that does not exist", `"graphMode"`, `"graphmode"`, "graphmode"},
		{"another value", `"placement": "bottom"`, `"placement": "under"`, `"under"`},
		{"no value", `"showLegend": true`, `"isVisible": true`, "showLegend"},
		{"a setting of the dashboard", `"editable"`, `"editables"`, "editables"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := checkDashboard(t, packages, strings.Replace(good, c.from, c.to, 1))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(out, c.want)) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// checkDashboard returns what TypeScript's compiler says about a dashboard.
func checkDashboard(t *testing.T, packages, dashboard string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"schema.ts": string(grafanaSchema),
		"check.ts":  "import type { Checked } from './schema';\nexport const dashboard: Checked = " + dashboard + ";\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tsc := exec.CommandContext(t.Context(), "node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict",
		"--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022", "--skipLibCheck", "check.ts")
	tsc.Dir = dir
	out, err := tsc.CombinedOutput()
	return string(out), err
}

// TestTheDashboardIsLaidOut: no panel covers another one, and each has a number of its own, a title,
// and the data source that the reader chooses.
func TestTheDashboardIsLaidOut(t *testing.T) {
	type source struct{ Type, UID string }
	var d struct {
		Panels []struct {
			ID         int
			Title      string
			GridPos    struct{ X, Y, W, H int }
			Datasource source
			Targets    []struct{ Datasource source }
		}
	}
	if err := json.Unmarshal([]byte(dashboard(t)), &d); err != nil {
		t.Fatal(err)
	}
	cells, ids := map[[2]int]string{}, map[int]bool{}
	chosen := source{"prometheus", "${datasource}"}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q: %+v", p.ID, p.Title, p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			if target.Datasource != chosen {
				t.Errorf("%q asks %+v", p.Title, target.Datasource)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q covers %q at %d, %d", p.Title, other, x, y)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestGrafanasTypesAreOfItsImage: the types are those of the Grafana in docker-compose.yml.
func TestGrafanasTypesAreOfItsImage(t *testing.T) {
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal(grafanaManifest, &manifest); err != nil {
		t.Fatal(err)
	}
	image, _, _ := strings.Cut(project(t, "observability").Services["grafana"].Image, "@")
	if _, version, _ := strings.Cut(image, ":"); manifest.Dependencies["@grafana/schema"] != version {
		t.Errorf("the image is %s, and the types are of %s", image, manifest.Dependencies["@grafana/schema"])
	}
}
