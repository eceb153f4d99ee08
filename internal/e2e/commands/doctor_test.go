package commands

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// examined asks the doctor and gives what is not well, a line for each with how to
// mend it.
func examined(s world.Starter, status int) string {
	s.T.Helper()
	var out struct {
		Healthy  bool
		Findings []doctor.Finding
	}
	got, text, errOut := s.Call("doctor", "-o", "json")
	if err := json.Unmarshal([]byte(text), &out); err != nil || got != status || out.Healthy != (status == 0) {
		s.T.Fatalf("status %d, want %d: %v\n%s\n%s", got, status, err, text, errOut)
	}
	var lines []string
	for _, f := range out.Findings {
		if f.State != doctor.OK {
			lines = append(lines, string(f.State)+" "+f.Check+" "+f.Subject+": "+f.Found+" → "+f.Fix)
			if f.Fix == "" && f.State != doctor.Skipped {
				s.T.Errorf("the fix is missing: %+v", f)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestTheDoctor breaks one thing after the other, and has each found.
func TestTheDoctor(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	s := w.Starter()
	w.Generated(100)
	s.Want(0, "apply", w.WriteExports(world.Seldom, "segments"), "--yes")
	if found := examined(s, 0); found != "" {
		t.Errorf("in a healthy World: %s", found)
	}
	s.Contains(s.Want(0, "doctor"), "ok       temporal: "+w.Temporal, "All is well.")

	_, out, _ := s.Call("doctor", "--data-root", filepath.Join(t.TempDir(), "nowhere"))
	s.Contains(out, "wrong    data root:", "no such file")

	w.Key(true)
	s.Contains(examined(s, 1), "wrong connections sandbox, key: ", "BadApiKey", "connections.yaml")
	w.Key(false)

	s.Want(0, "apply", w.WriteExports(world.Seldom, "segments/missing.parquet"), "--yes")
	s.Contains(examined(s, 1), `wrong sources Spring, segment "Readers": `, "missing.parquet", `starter check "Spring"`)
	s.Want(0, "apply", w.WriteExports(world.Seldom, "segments"), "--yes")

	s.Want(0, "disconnect", "sandbox", "--detach")
	s.Contains(examined(s, 0), "warning connections sandbox, consent: disconnected by", `starter connect "sandbox"`, "warning sources Spring: No connection")
	s.Want(0, "connect", "sandbox", "--agree")

	w.WriteConnections("{}")

	encrypted := encrypt(t, w.DataRoot, "snapshots/by-others")
	s.Contains(examined(s, 1), "wrong data root : ", "it is encrypted with another key", "DATA_KEYS")
	if err := os.Remove(encrypted); err != nil {
		t.Fatal(err)
	}

	_, err := w.Client.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{
		Namespace: "default", SearchAttributes: []string{schemas.AttributeExport},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Contains(examined(s, 1), "wrong search attributes "+schemas.AttributeExport+": it is missing", "→ starter doctor --fix")
	_, err = w.Client.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: "default", SearchAttributes: map[string]enums.IndexedValueType{schemas.AttributeExport: enums.INDEXED_VALUE_TYPE_TEXT},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Contains(examined(s, 1), "it has type Text and must be Keyword")

	w.Root.Close()
	if err := os.RemoveAll(w.DataRoot); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.DataRoot, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Contains(examined(s, 1), "wrong data root : ", "DATA_ROOT")

	s.Env = append(s.Env, "TEMPORAL_NAMESPACE=nowhere")
	s.Contains(examined(s, 1), "wrong namespace nowhere: the namespace does not exist", "starter doctor --fix --namespace \"nowhere\"")
}

// encrypt writes a file of a data root with a key that nobody has, and returns its path.
func encrypt(t *testing.T, dir, key string) string {
	t.Helper()
	text, err := storage.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := storage.ReadKeys(text, "")
	if err != nil {
		t.Fatal(err)
	}
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	root.Encrypt(keys, dataroot.SnapshotsDir)
	if err := root.Write(t.Context(), key, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, filepath.FromSlash(key))
}

// TestTheDoctorWithoutAWorker says so at once.
func TestTheDoctorWithoutAWorker(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	s := w.Starter()
	s.Contains(examined(s, 1), "wrong workers task queue segment-export, workflows: no worker polls it", "→ start a worker", "skipped sources")
}

// TestTheDoctorKnowsRoles shows each what they may see.
func TestTheDoctorKnowsRoles(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	g.Generated(20)
	s := g.Starter()
	api := []string{"EXPORT_API=" + g.API, "XDG_CONFIG_HOME=" + t.TempDir()}
	as := func(role schemas.Role) {
		s.Env = append(slices.Clone(api), "EXPORT_TOKEN="+g.Provider.Token("the "+role, role))
	}
	s.Env = api
	s.Contains(examined(s, 1), "wrong temporal", "starter login")
	as(schemas.RoleContributor)
	s.Want(0, "apply", g.WriteExports(world.Seldom, "segments/missing.parquet"), "--yes")
	s.Contains(examined(s, 1), "skipped connections sandbox: only administrators see consent and key", `wrong sources Spring, segment "Readers"`)
	as(schemas.RoleViewer)
	s.Contains(examined(s, 0), "skipped sources : only contributors and administrators see sources")
	as(schemas.RoleAdministrator)
	s.Contains(examined(s, 1), `wrong sources Spring, segment "Readers"`)
	g.Allow("administrators")
	g.Until("the worker has read the file", func() bool {
		return strings.Contains(examined(s, 1), "warning grants Spring: its scheduled runs wait: the contributor")
	})
	s.Contains(s.Want(0, "apply", g.Path("exports.yaml"), "--yes"), "+ grant: renewed: the contributor")
	if found := examined(s, 1); strings.Contains(found, "grants") {
		t.Errorf("after an administrator has applied the export: %s", found)
	}
}
