package rejects

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

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
		w := NewRowWriter(&file, schemas.IdentityPlain)
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

// TestNamesThatMixWithNulls writes names that have nulls between them, and names that are the
// same once they are valid UTF-8: both rows of a dictionary must stay what they were.
func TestNamesThatMixWithNulls(t *testing.T) {
	names := []string{"a\xff", `a\xff`, "", "b"}
	const n = groupRows + 100
	var file bytes.Buffer
	w := NewRowWriter(&file, schemas.IdentityPlain)
	for i := range n {
		r := Row{Email: []byte("ann@example.com"), Outcome: schemas.OutcomeAdded, Column: names[i*i%len(names)], Request: names[i%len(names)]}
		if i%3 == 0 {
			r.Email = nil
		}
		if i%5 != 0 {
			r.At = time.UnixMilli(int64(i))
		}
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	i := 0
	if err := ReadRows(t.Context(), memoryFile{bytes.NewReader(file.Bytes())}, func(r *Row) error {
		at := time.Time{}
		if i%5 != 0 {
			at = time.UnixMilli(int64(i))
		}
		if r.Column != ReadableName(names[i*i%len(names)]) || r.Request != ReadableName(names[i%len(names)]) ||
			(len(r.Email) == 0) != (i%3 == 0) || !r.At.Equal(at) || r.Reason != "" {
			t.Fatalf("row %d: %+v", i, r)
		}
		i++
		return nil
	}); err != nil || i != n {
		t.Fatalf("%d rows, %v", i, err)
	}
}

// BenchmarkRows writes the record of a million rows that were sent, a thousand in a request.
func BenchmarkRows(b *testing.B) {
	addresses := make([][]byte, 1000)
	for i := range addresses {
		addresses[i] = fmt.Appendf(nil, "some.person%d@example%d.com", i*7919, i%13)
	}
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		w := NewRowWriter(&out, schemas.IdentityPlain)
		for i := range 1_000_000 {
			r := Row{
				Email: addresses[i%1000], Outcome: schemas.OutcomeAdded, File: "segment/part-1.parquet", Row: int64(i),
				Request: "add 17", At: time.UnixMilli(int64(i) / 1000),
			}
			if err := w.Add(r); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Len())/1e6, "MB")
	}
}
