package activities

import (
	"testing"

	"iterable-segment-export/schemas"
)

// TestFootersAreParsedOnceInARun: StageSegment reads the rows of the segment that InspectSegment has
// inspected, with its footers. Those of a segment that has changed since are read again.
func TestFootersAreParsedOnceInARun(t *testing.T) {
	l := newLooks(t)
	info, err := l.look(nil)
	if err != nil || len(l.inspected.runs) != 1 {
		t.Fatalf("%d segments are kept, %v", len(l.inspected.runs), err)
	}
	kept := l.inspected.runs[0].segment
	in := schemas.StageInput{Run: l.in.Run, Export: l.in.Export, Segment: l.in.Segment, Connection: l.in.Connection, Info: info}
	if from, err := l.Activities.source(t.Context(), in); err != nil || from.Segment != kept {
		t.Errorf("the segment was inspected again; %v", err)
	}
	if len(l.inspected.runs) != 0 {
		t.Error("the segment is kept after its run")
	}
	if _, err := l.look(nil); err != nil {
		t.Fatal(err)
	}
	kept = l.inspected.runs[0].segment
	writeIdentities(t, l.folder+"/more.arrow", []identity{{email: "bob@example.com"}})
	from, err := l.Activities.source(t.Context(), in)
	if isOfType(t, err, schemas.ErrorSegmentChanged); from.Segment == kept {
		t.Error("the segment that has changed is taken for the same")
	}
}
