package gateway

import (
	"context"
	"path"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// checkedTemporal has the history of one run.
type checkedTemporal struct {
	fakeTemporal
	input schemas.RunInput
}

func (f *checkedTemporal) GetWorkflowHistory(context.Context, string, string, bool, enums.HistoryEventFilterType) client.HistoryEventIterator {
	return &oneEvent{input: f.input}
}

type oneEvent struct{ input schemas.RunInput }

func (*oneEvent) HasNext() bool { return true }

func (e *oneEvent) Next() (*history.HistoryEvent, error) {
	input, err := converter.GetDefaultDataConverter().ToPayloads(e.input)
	return &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{Input: input},
	}}, err
}

// TestNobodyReadsExamplesUnseen: the examples of a check have addresses, so the audit trail says
// who has read them. A run without examples leaves no entry.
func TestNobodyReadsExamplesUnseen(t *testing.T) {
	f := &checkedTemporal{}
	office, gate := officeWith(t, &f.fakeTemporal)
	office.Client = f
	root, err := office.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := scheduleOf(t, gate, "Spring")
	f.input = schemas.RunInput{Export: in.Export, Check: true}
	ann := office.As(schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})
	run := operate.Run{Export: "Spring", WorkflowID: schemas.CheckWorkflowID("Spring"), RunID: "r1"}
	read := func() (map[string]schemas.Examples, []schemas.AuditEntry) {
		t.Helper()
		found, err := ann.Examples(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		trail, err := gate.Trail(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return found, trail
	}
	if found, trail := read(); len(found) != 0 || len(trail) != 0 {
		t.Errorf("without examples: %v, %v", found, trail)
	}
	ref := schemas.RunRef{Connection: in.Export.Connection, Export: "Spring", RunID: "r1", Segment: in.Export.Segments[0].Name}
	examples := schemas.Examples{Adds: []schemas.Example{{Email: "kari@example.com"}}}
	if err := root.WriteJSON(t.Context(), path.Join(dataroot.ReportDir(ref), dataroot.ExamplesFile), examples); err != nil {
		t.Fatal(err)
	}
	found, trail := read()
	if len(found) != 1 || len(trail) != 1 {
		t.Fatalf("%v, %v", found, trail)
	}
	if e := trail[0]; e.Who != "ann" || e.What != schemas.AuditRead || e.Export != "Spring" || e.Connection != ref.Connection || e.RunID != "r1" {
		t.Errorf("%+v", e)
	}
}
