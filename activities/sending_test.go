package activities

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/schemas"
)

// TestARowIsRefusedOnce: Iterable may name one person by the address and by the user
// id, and for more than one reason.
func TestARowIsRefusedOnce(t *testing.T) {
	b := twoPeople(t)
	failed := iterable.Failed{ConflictEmails: []string{"ann@example.com"}, ConflictUserIDs: []string{"u1"}, NotFoundUserIDs: []string{"u1"}}
	for kind, want := range map[string]schemas.UploadCounts{
		schemas.Subscribe:   {Sent: 1, Refused: map[schemas.Reason]int64{schemas.ReasonIterableConflict: 1}},
		schemas.Unsubscribe: {Removed: 1, NotRemoved: 1},
	} {
		s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: kind}}}
		l := &loaded{Batch: b, matcher: batch.NewMatcher(b)}
		s.settle([]part{{l, 0, b.Len()}}, iterable.Result{SuccessCount: 1, FailCount: 1, Failed: failed})
		got := s.counts
		if got.Sent != want.Sent || got.Removed != want.Removed || got.NotRemoved != want.NotRemoved || got.NotOnList != 0 || got.Unnamed != 0 ||
			got.Refused[schemas.ReasonIterableConflict] != want.Refused[schemas.ReasonIterableConflict] || len(got.Refused) != len(want.Refused) || len(l.refusals) != 1 {
			t.Errorf("%s: %+v with %d refusals, want %+v with one", kind, got, len(l.refusals), want)
		}
	}
}

// TestAnUnnamedFailureIsEverybodys: where Iterable does not say whom it did not take,
// nobody of the request is sure to be on the list.
func TestAnUnnamedFailureIsEverybodys(t *testing.T) {
	b := twoPeople(t)
	for kind, want := range map[string]schemas.UploadCounts{schemas.Subscribe: {Sent: 1, Unnamed: 1}, schemas.Unsubscribe: {Removed: 1, Unnamed: 1}} {
		s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: kind}}}
		l := &loaded{Batch: b, matcher: batch.NewMatcher(b)}
		s.settle([]part{{l, 0, b.Len()}}, iterable.Result{SuccessCount: 1, FailCount: 1})
		got := s.counts
		if got.Sent != want.Sent || got.Removed != want.Removed || got.Unnamed != want.Unnamed || got.Acknowledged() != 2 ||
			len(l.refusals) != 2 || !l.refusals[0].unsure || !l.refusals[1].unsure {
			t.Errorf("%s: %+v with %+v, want %+v", kind, got, l.refusals, want)
		}
	}
}

// An answer that fits two user IDs says of neither what became of it: both are sent
// again, and the others of the request are not.
func TestUserIDsThatDifferInCase(t *testing.T) {
	b := oneBatch(t, batch.Profile{UserID: []byte("Kari"), Key: [16]byte{1}}, batch.Profile{UserID: []byte("kari"), Key: [16]byte{2}},
		batch.Profile{UserID: []byte("ola"), Key: [16]byte{3}})
	s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: schemas.Subscribe}}}
	l := &loaded{Batch: b, matcher: batch.NewMatcher(b)}
	s.settle([]part{{l, 0, 3}}, iterable.Result{SuccessCount: 2, FailCount: 1, Failed: iterable.Failed{ConflictUserIDs: []string{"kari"}}})
	want := []refusal{{row: 0, unsure: true}, {row: 1, unsure: true}}
	if !slices.Equal(l.refusals, want) || s.counts.Sent != 2 || s.counts.Unnamed != 1 || len(s.counts.Refused) != 0 {
		t.Errorf("%+v and %+v", l.refusals, s.counts)
	}
}

// Halving keeps every row once, across batches.
func TestHalves(t *testing.T) {
	a, b := &loaded{k: 1}, &loaded{k: 2}
	for first := range 4 {
		for second := range 4 {
			one, two := halves([]part{{a, 0, first}, {b, 5, 5 + second}})
			rows := map[[2]int]int{}
			for _, p := range append(one, two...) {
				for row := p.from; row < p.to; row++ {
					rows[[2]int{p.k, row}]++
				}
			}
			if len(rows) != first+second || rowsOf(one) != (first+second)/2 || rowsOf(one)+rowsOf(two) != first+second {
				t.Errorf("%d and %d rows: %v and %v", first, second, one, two)
			}
		}
	}
}

// twoPeople is a batch of two.
func twoPeople(t *testing.T) *batch.Batch {
	t.Helper()
	return oneBatch(t, batch.Profile{Email: []byte("ann@example.com"), UserID: []byte("u1"), Key: [16]byte{1}},
		batch.Profile{Email: []byte("bob@example.com"), UserID: []byte("u2"), Key: [16]byte{2}})
}

// oneBatch is a batch of profiles.
func oneBatch(t *testing.T, profiles ...batch.Profile) *batch.Batch {
	t.Helper()
	var file bytes.Buffer
	w, err := batch.NewWriter(&file, (&Activities{}).batchLimits(schemas.Limits{}), batch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range profiles {
		if err := w.Append(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := batch.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	b, err := read.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Release)
	return b
}

// A type mismatch names field and column, and nothing that is not mapped.
func TestAMismatchNamesTheColumn(t *testing.T) {
	in := schemas.UploadInput{Connection: schemas.ConnectionInfo{Name: "project"}, Fields: []schemas.MappedField{{Column: "Age", Field: "age", Type: "string"}}}
	err := columnAtFault(&iterable.Error{Class: iterable.FieldTypes, Mismatches: []iterable.Mismatch{
		{Field: "age", Expected: "long", Incoming: "string"}, {Field: "ann@example.com", Expected: "x"}}}, in)
	if text := err.Error(); !strings.Contains(text, `column "Age" is sent as string in field "age"`) || strings.Contains(text, "ann") {
		t.Error(text)
	}
	plain := &iterable.Error{Class: iterable.FieldTypes, Mismatches: []iterable.Mismatch{{Field: "other"}}}
	if got := columnAtFault(plain, in); got != error(plain) {
		t.Error(got)
	}
}

// TestAResumedChunkSendsNothingTwice: batches above the lowest open one that were
// acknowledged before stay so once that one is.
func TestAResumedChunkSendsNothingTwice(t *testing.T) {
	p := newTracker(schemas.UploadInput{First: 0, End: 8}, schemas.UploadProgress{Next: 2, Done: []int{3, 4, 6}})
	var taken []int
	for {
		k, ok := p.take()
		if !ok {
			break
		}
		taken = append(taken, k)
		p.acknowledge([]*loaded{{k: k}}, schemas.UploadCounts{Sent: 1})
	}
	if want := []int{2, 5, 7}; !slices.Equal(taken, want) {
		t.Errorf("sends %v, want %v", taken, want)
	}
}

// TestAnUploadLooksWhetherItMayGoOn: once nobody agrees any more, or another export fills
// the list, it stops within one look, and has noted before what was answered.
func TestAnUploadLooksWhetherItMayGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withdrawn := errors.New("withdrawn")
		notes, looks := 0, 0
		u := &uploader{
			note: func(context.Context) error { notes++; return nil },
			mayGoOn: func(context.Context) error {
				if looks++; looks == 3 {
					return withdrawn
				}
				return nil
			},
		}
		var failed error
		u.look(t.Context(), nil, func(err error) { failed = err })
		if failed != withdrawn || looks != 3 || notes != 3 {
			t.Errorf("%v after %d looks and %d notes", failed, looks, notes)
		}
	})
}

// TestRefusalsAreReadABatchAtATime, and not all of them into memory.
func TestRefusalsAreReadABatchAtATime(t *testing.T) {
	files := 0
	s := &refusals{
		keys: []string{"a", "b", "c"},
		read: func(context.Context, string) ([]refused, error) {
			files++
			return []refused{{Row: int64(files)}, {Unsure: true}}, nil
		},
		reject: func(r refused) rejects.Reject { return rejects.Reject{Row: r.Row} },
	}
	for n := 1; ; n++ {
		r, ok := s.Next()
		if !ok {
			break
		}
		if r.Row != int64(n) || files != n {
			t.Errorf("row %d, the %dth, after %d files", r.Row, n, files)
		}
	}
	if files != 3 || s.Err() != nil {
		t.Errorf("%d files, %v", files, s.Err())
	}
}
