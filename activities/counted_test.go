package activities

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/observe"
	"iterable-segment-export/schemas"
)

// TestWhoIsNotSentIsCounted: the metrics have the rows that a run leaves out, each once.
func TestWhoIsNotSentIsCounted(t *testing.T) {
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {Country}", ForEach: "Country", Where: &schemas.Condition{Column: "N", AtLeast: "2"}})
	var err error
	if d.Metrics, err = observe.NewMetrics(); err != nil {
		t.Fatal(err)
	}
	never := t.TempDir()
	writeIdentities(t, filepath.Join(never, "never.arrow"), []identity{{email: "never@example.com"}})
	d.never = []schemas.Suppression{{Name: "Never", Source: never, Email: "Mail"}}
	in, out, err := d.divide(countries(),
		`{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":null}`,
		`{"Mail":"bob@example.com","Country":null,"N":2,"Tags":null}`,
		`{"Mail":"never@example.com","Country":"SE","N":2,"Tags":null}`,
		`{"Mail":"eve@example.com","Country":"SE","N":2,"Tags":null}`,
		`{"Mail":"eve@example.com","Country":"SE","N":3,"Tags":null}`,
		`{"Mail":"bad","Country":"SE","N":3,"Tags":null}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	d.stageParts(in, out)
	answer := httptest.NewRecorder()
	d.Metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`export_profiles_total{export="Spring",outcome="filtered"} 2`, `export_profiles_total{export="Spring",outcome="suppressed"} 1`,
		`export_profiles_total{export="Spring",outcome="duplicate"} 1`, `export_rejects_total{reason="syntax"} 1`,
	} {
		if text := answer.Body.String(); !strings.Contains(text, want+"\n") {
			t.Errorf("the metrics lack %s:\n%s", want, text)
		}
	}
}

// TestHeldOutRowsAreCounted with those that do not match the condition: nobody sends them.
func TestHeldOutRowsAreCounted(t *testing.T) {
	split := &schemas.Split{Groups: map[string]string{"A": "50%", "control": "50%"}, Holdout: []string{"control"}}
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "Spring", Split: split, Where: &schemas.Condition{Column: "N", AtLeast: "2"}})
	var err error
	if d.Metrics, err = observe.NewMetrics(); err != nil {
		t.Fatal(err)
	}
	rows := []string{`{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":null}`}
	for i := range 40 {
		rows = append(rows, fmt.Sprintf(`{"Mail":"p%d@example.com","Country":"NO","N":2,"Tags":null}`, i))
	}
	_, out, err := d.divide(countries(), rows...)
	if err != nil {
		t.Fatal(err)
	}
	held := out.Divided.HeldOut
	if held < 5 || held > 35 || out.Manifest.Filtered != 1 {
		t.Fatalf("%+v", out)
	}
	answer := httptest.NewRecorder()
	d.Metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := fmt.Sprintf(`export_profiles_total{export="Spring",outcome="filtered"} %d`, 1+held); !strings.Contains(answer.Body.String(), want+"\n") {
		t.Errorf("the metrics lack %s:\n%s", want, answer.Body)
	}
}
