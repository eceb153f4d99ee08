package activities

import (
	"bytes"
	"testing"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
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
		s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: kind}}, batch: b, matcher: batch.NewMatcher(b)}
		s.settle(0, b.Len(), iterable.Result{SuccessCount: 1, FailCount: 1, Failed: failed})
		got := s.counts
		if got.Sent != want.Sent || got.Removed != want.Removed || got.NotRemoved != want.NotRemoved || got.NotOnList != 0 || got.Unnamed != 0 ||
			got.Refused[schemas.ReasonIterableConflict] != want.Refused[schemas.ReasonIterableConflict] || len(got.Refused) != len(want.Refused) || len(s.refusals) != 1 {
			t.Errorf("%s: %+v with %d refusals, want %+v with one", kind, got, len(s.refusals), want)
		}
	}
}

// TestAnUnnamedFailureIsEverybodys: where Iterable does not say whom it did not take,
// nobody of the request is sure to be on the list.
func TestAnUnnamedFailureIsEverybodys(t *testing.T) {
	b := twoPeople(t)
	for kind, want := range map[string]schemas.UploadCounts{schemas.Subscribe: {Sent: 1, Unnamed: 1}, schemas.Unsubscribe: {Removed: 1, Unnamed: 1}} {
		s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: kind}}, batch: b, matcher: batch.NewMatcher(b)}
		s.settle(0, b.Len(), iterable.Result{SuccessCount: 1, FailCount: 1})
		got := s.counts
		if got.Sent != want.Sent || got.Removed != want.Removed || got.Unnamed != want.Unnamed || got.Acknowledged() != 2 ||
			len(s.refusals) != 2 || !s.refusals[0].unsure || !s.refusals[1].unsure {
			t.Errorf("%s: %+v with %+v, want %+v", kind, got, s.refusals, want)
		}
	}
}

// twoPeople is a batch of two.
func twoPeople(t *testing.T) *batch.Batch {
	t.Helper()
	var file bytes.Buffer
	w, err := batch.NewWriter(&file, limits(schemas.Limits{}), batch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []batch.Profile{
		{Email: []byte("ann@example.com"), UserID: []byte("u1"), Key: [16]byte{1}}, {Email: []byte("bob@example.com"), UserID: []byte("u2"), Key: [16]byte{2}},
	} {
		if err := w.Append(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	staged, err := batch.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { staged.Close() })
	b, err := staged.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Release)
	return b
}
