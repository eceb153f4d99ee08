package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"

	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// examined asks the doctor and gives what is not well, a line for each with how to
// mend it.
func (s starter) examined(status int) string {
	s.t.Helper()
	var out struct {
		Healthy  bool
		Findings []doctor.Finding
	}
	got, text, errOut := s.call("doctor", "-o", "json")
	if err := json.Unmarshal([]byte(text), &out); err != nil || got != status || out.Healthy != (status == 0) {
		s.t.Fatalf("status %d, want %d: %v\n%s\n%s", got, status, err, text, errOut)
	}
	var lines []string
	for _, f := range out.Findings {
		if f.State != doctor.OK {
			lines = append(lines, string(f.State)+" "+f.Check+" "+f.Subject+": "+f.Found+" → "+f.Mend)
			if f.Mend == "" && f.State != doctor.Skipped {
				s.t.Errorf("how to mend it is not said: %+v", f)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestTheDoctor breaks one thing after the other, and has each found.
func TestTheDoctor(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	s := starter{w, build(t, "starter")}
	w.generated(100)
	s.want(0, "apply", w.writeExports(seldom, "segments"), "--yes")
	if found := s.examined(0); found != "" {
		t.Errorf("in a healthy world: %s", found)
	}
	s.contains(s.want(0, "doctor"), "ok       temporal: "+w.temporal, "All is well.")

	elsewhere := t.TempDir()
	_, out, _ := s.call("doctor", "--data-root", elsewhere)
	s.contains(out, "warning  data root, starter: this is another data root", "→ set DATA_ROOT", "Nothing is wrong, 1 to know of.")
	_, out, _ = s.call("doctor", "--data-root", filepath.Join(elsewhere, "nowhere"))
	s.contains(out, "warning  data root, starter", "no such file")
	if _, err := os.Stat(filepath.Join(elsewhere, "nowhere")); err == nil {
		t.Error("the doctor has made a data root")
	}

	w.key(true)
	s.contains(s.examined(1), "wrong connections sandbox, key: ", "BadApiKey", "connections.yaml")
	w.key(false)

	s.want(0, "apply", w.writeExports(seldom, "segments/missing.parquet"), "--yes")
	s.contains(s.examined(1), "wrong sources Spring, segment «Readers»: ", "missing.parquet", `starter check "Spring"`)
	s.want(0, "apply", w.writeExports(seldom, "segments"), "--yes")

	s.want(0, "disconnect", "sandbox", "--detach")
	s.contains(s.examined(0), "warning connections sandbox, consent: disconnected by", `starter connect "sandbox"`, "warning sources Spring: No connection")
	s.want(0, "connect", "sandbox", "--agree")

	if err := os.WriteFile(w.path("connections.yaml"), []byte("connections: [{}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.until("the worker has read it", func() bool {
		all, err := w.operator.Connections(t.Context())
		return err == nil && all.Broken != ""
	})
	s.contains(s.examined(1), "wrong connections connections.yaml: its newest version is not in force", "correct the file")
	w.writeConnections("{requestsPerSecond: 1000}")

	_, err := w.client.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{
		Namespace: "default", SearchAttributes: []string{schemas.AttributeExport},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.contains(s.examined(1), "wrong search attributes "+schemas.AttributeExport+": it is missing", "→ starter setup")
	_, err = w.client.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: "default", SearchAttributes: map[string]enums.IndexedValueType{schemas.AttributeExport: enums.INDEXED_VALUE_TYPE_TEXT},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.contains(s.examined(1), "it is of type Text and should be Keyword")

	w.root.Close()
	if err := os.RemoveAll(w.dataRoot); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.dataRoot, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.contains(s.examined(1), "wrong data root worker: ", "DATA_ROOT")

	t.Setenv("TEMPORAL_NAMESPACE", "nowhere")
	s.contains(s.examined(1), "wrong namespace nowhere: there is no such namespace", "temporal operator namespace create --namespace nowhere")
}

// TestTheDoctorWithoutAWorker tells so at once, as do the commands that ask one.
func TestTheDoctorWithoutAWorker(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, false)
	s := starter{w, build(t, "starter")}
	s.contains(s.examined(1), "wrong workers task queue segment-export, workflows: no worker listens", "→ start one", "skipped sources")
	s.contains(s.want(1, "connections"), "no worker answers", "segment-export", "namespace default", "starter doctor")
}

// TestTheDoctorKnowsRoles shows each what they may see.
func TestTheDoctorKnowsRoles(t *testing.T) {
	g := newGuarded(t)
	g.generated(20)
	s := starter{g.world, build(t, "starter")}
	as := func(role schemas.Role) { t.Setenv(operate.TokenEnv, g.provider.Token("the "+role, role)) }
	s.contains(s.examined(1), "wrong workers", "does not answer you", "EXPORT_TOKEN")
	as(schemas.RoleContributor)
	s.want(0, "apply", g.writeExports(seldom, "segments/missing.parquet"), "--yes")
	s.contains(s.examined(1), "skipped connections sandbox: consent and key are for administrators", "wrong sources Spring, segment «Readers»")
	as(schemas.RoleViewer)
	s.contains(s.examined(0), "skipped sources : sources are for contributors")
	as(schemas.RoleAdministrator)
	s.contains(s.examined(1), "wrong sources Spring, segment «Readers»")
}
