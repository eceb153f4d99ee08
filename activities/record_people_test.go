package activities

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/record"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/schemas"
)

// TestTheRecordNamesRejectedPeople: a row that is rejected for a value which does not name
// anybody, and a row that is sent without such a value, have their person and the column.
func TestTheRecordNamesRejectedPeople(t *testing.T) {
	rows := []identity{
		{"Ann@example.com", "seven"}, {"bob@example.com", "8"}, {"nowhere", "9"}, {"eve@example.com", "eight"}, {"ann@example.com", "1"}, {"eve@example.com", "2"}, {"", "3"},
	}
	for invalid, want := range map[string][]string{
		schemas.InvalidReject: {
			"ann@example.com rejected invalid_value Id 0", "ann@example.com unsent   4", "bob@example.com unsent   1",
			"eve@example.com rejected invalid_value Id 3", "eve@example.com unsent   5", " rejected missing Mail 6", "nowhere rejected syntax Mail 2",
		},
		schemas.InvalidOmit: {
			"ann@example.com added field_left_out Id 0", "ann@example.com duplicate duplicate  4", "bob@example.com added   1",
			"eve@example.com added field_left_out Id 3", "eve@example.com duplicate duplicate  5", " rejected missing Mail 6", "nowhere rejected syntax Mail 2",
		},
	} {
		b, _, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectEmail, nil, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		in := b.input
		// Names of files are bytes on Linux.
		if err := os.Rename(filepath.Join(in.Segment.Source, "people.arrow"), filepath.Join(in.Segment.Source, "people\xff.arrow")); err != nil && runtime.GOOS == "linux" {
			t.Fatal(err)
		}
		in.Export.UserID, in.Export.OnInvalid = "", invalid
		in.Export.Fields.List = []schemas.Field{{Column: "Id", As: "score", Type: "number"}}
		seg, err := b.inspect(t.Context(), in.Export, in.Segment, in.Began, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		in.Info = seg.Info()
		m, err := b.stageInput(in)
		if err != nil {
			t.Fatal(err)
		}
		if invalid == schemas.InvalidOmit {
			up := schemas.UploadInput{Run: in.Run, Attempt: m.Attempt, Kind: schemas.Subscribe, End: m.AddBatches}
			if err := b.Ledger().WriteAnswered(t.Context(), up, "1", schemas.UploadProgress{Next: m.AddBatches}); err != nil {
				t.Fatal(err)
			}
		}
		key, err := record.Publish(t.Context(), b.Ledger(), in.Run, in.Export, m.Attempt)
		if err != nil {
			t.Fatal(err)
		}
		file, err := b.Root.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var got []string
		err = rejects.ReadRows(t.Context(), file, func(r *rejects.Row) error {
			got = append(got, strings.Clone(fmt.Sprintf("%s %s %s %s %d", r.Email, r.Outcome, r.Reason, r.Column, r.Row)))
			return nil
		})
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", invalid, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
