package generate

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/schemas"
)

// read returns the addresses of a segment, nil for a missing one.
func read(t *testing.T, dir string) (addresses [][]byte) {
	t.Helper()
	s, err := segment.Inspect(t.Context(), dir, segment.Columns{Email: "EmailAddress", Fields: schemas.Fields{All: true}})
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range s.Read(t.Context(), segment.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := segment.NewStringColumn(b.Column(0))
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Len() {
			v, _ := c.Bytes(i)
			addresses = append(addresses, bytes.Clone(v))
		}
	}
	return addresses
}

// judge counts the validator's results for a segment.
func judge(t *testing.T, dir string) (e Expected, valid map[string]bool) {
	t.Helper()
	e.Rejected, valid = map[schemas.Reason]int64{}, map[string]bool{}
	for _, raw := range read(t, dir) {
		e.Rows++
		addr, reason := email.Normalize(raw, nil, email.Options{})
		switch {
		case reason != "":
			e.Rejected[reason]++
		case valid[string(addr)]:
			e.Duplicates++
		default:
			valid[string(addr)] = true
			e.Valid++
		}
	}
	return e, valid
}

func make1(t *testing.T, o Options) (Expected, string) {
	t.Helper()
	o.Out = t.TempDir()
	e, err := Segment(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return e, o.Out
}

func TestTheExpectationAgreesWithTheValidator(t *testing.T) {
	for _, format := range []string{"parquet", "arrow"} {
		want, dir := make1(t, Options{Rows: 20_000, Format: format, Files: 3, Bad: 0.1, Seed: 5})
		got, _ := judge(t, dir)
		if got.Rows != want.Rows || got.Valid != want.Valid || got.Duplicates != want.Duplicates || !maps.Equal(got.Rejected, want.Rejected) {
			t.Errorf("%s: found %+v, expected %+v", format, got, want)
		}
		if len(want.Rejected) < 13 || want.Duplicates == 0 {
			t.Errorf("%s: not every kind of row is there: %+v", format, want)
		}
	}
}

func TestTheSameSeedGivesTheSameRows(t *testing.T) {
	a, dirA := make1(t, Options{Rows: 3000, Files: 1, Bad: 0.1, Seed: 5})
	b, dirB := make1(t, Options{Rows: 3000, Files: 7, Bad: 0.1, Seed: 5})
	if a.Digest != b.Digest || !bytes.Equal(bytes.Join(read(t, dirA), nil), bytes.Join(read(t, dirB), nil)) {
		t.Error("the rows depend on the number of files")
	}
	if c, _ := make1(t, Options{Rows: 3000, Bad: 0.1, Seed: 6}); c.Digest == a.Digest {
		t.Error("another seed gives the same rows")
	}
	_, dirC := make1(t, Options{Rows: 3000, Bad: 0.1, Seed: 5})
	one, errA := os.ReadFile(filepath.Join(dirA, "part-00000.parquet"))
	two, errC := os.ReadFile(filepath.Join(dirC, "part-00000.parquet"))
	if errA != nil || errC != nil || !bytes.Equal(one, two) {
		t.Error("the same options give other files")
	}
}

func TestChurnExchangesPeople(t *testing.T) {
	_, before := make1(t, Options{Rows: 10_000, Seed: 5})
	e, after := make1(t, Options{Rows: 10_000, Seed: 5, Churn: 0.01})
	_, was := judge(t, before)
	_, is := judge(t, after)
	var joined, left int64
	for a := range is {
		if !was[a] {
			joined++
		}
	}
	for a := range was {
		if !is[a] {
			left++
		}
	}
	if joined != e.Joined || left != e.Left || joined < 50 || joined > 200 {
		t.Errorf("%d joined and %d left; expected %+v", joined, left, e)
	}
}

func TestImpossibleOptionsAreRefused(t *testing.T) {
	for _, o := range []Options{{Rows: -1}, {Files: -1}, {Bad: 1.1}, {Churn: -0.1}, {Format: "csv"}} {
		o.Out = t.TempDir()
		if _, err := Segment(context.Background(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
