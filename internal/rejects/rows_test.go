package rejects

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"iterable-segment-export/schemas"
)

// memoryFile is a storage.File in memory.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// TestRowsOfManyGroups writes row groups in which whole columns are null, and finds people in them.
func TestRowsOfManyGroups(t *testing.T) {
	const n = 2*groupRows + 10
	for _, outcome := range []schemas.Outcome{schemas.OutcomeAdded, schemas.OutcomeRejected} {
		var file bytes.Buffer
		w, err := NewRowWriter(&file, schemas.IdentityPlain)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			r := Row{Email: fmt.Appendf(nil, "p%d@example.com", i), Outcome: outcome, File: "a", Row: int64(i), Request: "add 0"}
			switch {
			case outcome == schemas.OutcomeRejected:
				r = Row{Outcome: outcome, Reason: schemas.ReasonMissing}
			case i > n-5:
				r.Reason = schemas.ReasonLeft
			}
			if err := w.Add(r); err != nil {
				t.Fatalf("row %d: %v", i, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if outcome == schemas.OutcomeRejected {
			continue
		}
		for _, i := range []int{0, groupRows - 1, groupRows, n - 1} {
			found := 0
			err := FindRows(context.Background(), memoryFile{bytes.NewReader(file.Bytes())}, Is(fmt.Appendf(nil, "p%d@example.com", i)), func(r Row) error {
				found++
				if r.Row != int64(i) || r.Outcome != outcome || r.Request != "add 0" || (r.Reason != "") != (i > n-5) {
					t.Errorf("row %d: %+v", i, r)
				}
				return nil
			})
			if err != nil || found != 1 {
				t.Errorf("row %d: found %d, %v", i, found, err)
			}
		}
	}
}
