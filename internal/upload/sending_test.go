package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/sandbox"
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
		got := l.counts
		if got.Sent != want.Sent || got.Removed != want.Removed || got.NotRemoved != want.NotRemoved || got.NotOnList != 0 || got.Unnamed != 0 ||
			got.Refused[schemas.ReasonIterableConflict] != want.Refused[schemas.ReasonIterableConflict] || len(got.Refused) != len(want.Refused) || len(l.refusals) != 1 {
			t.Errorf("%s: %+v with %d refusals, want %+v with one", kind, got, len(l.refusals), want)
		}
	}
}

// TestAnUnnamedFailureIsEverybodys: where Iterable does not say which profiles it refused,
// nobody of the request is sure to be on the list.
func TestAnUnnamedFailureIsEverybodys(t *testing.T) {
	b := twoPeople(t)
	for kind, want := range map[string]schemas.UploadCounts{schemas.Subscribe: {Sent: 1, Unnamed: 1}, schemas.Unsubscribe: {Removed: 1, Unnamed: 1}} {
		s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: kind}}}
		l := &loaded{Batch: b, matcher: batch.NewMatcher(b)}
		s.settle([]part{{l, 0, b.Len()}}, iterable.Result{SuccessCount: 1, FailCount: 1})
		got := l.counts
		if got.Sent != want.Sent || got.Removed != want.Removed || got.Unnamed != want.Unnamed || got.Acknowledged() != 2 ||
			len(l.refusals) != 2 || !l.refusals[0].Unsure || !l.refusals[1].Unsure {
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
	want := []ledger.Refusal{{Row: 0, Unsure: true}, {Row: 1, Unsure: true}}
	if !slices.Equal(l.refusals, want) || l.counts.Sent != 2 || l.counts.Unnamed != 1 || len(l.counts.Refused) != 0 {
		t.Errorf("%+v and %+v", l.refusals, l.counts)
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
	b, err := oneFile(t, profiles...).Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Release)
	return b
}

// oneFile is a staged file of profiles.
func oneFile(t *testing.T, profiles ...batch.Profile) *batch.File {
	t.Helper()
	var file bytes.Buffer
	w, err := batch.NewWriter(&file, batch.Limits{Profiles: schemas.BatchProfiles, BodyBytes: schemas.Limits{}.WithDefaults().MaxBodyBytes}, batch.Options{})
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
	return read
}

// Iterable may count a row neither as a success nor as a failure, such as that of an unknown
// user if only existing users are updated. Such a row is not known to be on the list.
func TestRowsThatAreNotCountedAreNotSure(t *testing.T) {
	b := twoPeople(t)
	s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: schemas.Subscribe}}}
	l := &loaded{Batch: b, matcher: batch.NewMatcher(b)}
	s.settle([]part{{l, 0, 2}}, iterable.Result{SuccessCount: 1})
	if l.counts.Sent != 1 || l.counts.Unnamed != 1 || len(l.refusals) != 2 || !l.refusals[0].Unsure || !l.refusals[1].Unsure {
		t.Errorf("%+v with %+v", l.counts, l.refusals)
	}
}

// One name that may mean two rows, for two reasons, is one failure: another one that is
// not named may be anybody's.
func TestAnAmbiguousNameCountsOnce(t *testing.T) {
	b := oneBatch(t, batch.Profile{UserID: []byte("Kari"), Key: [16]byte{1}}, batch.Profile{UserID: []byte("kari"), Key: [16]byte{2}},
		batch.Profile{UserID: []byte("ola"), Key: [16]byte{3}})
	s := &sending{uploader: &uploader{in: schemas.UploadInput{Kind: schemas.Subscribe}}}
	l := &loaded{Batch: b, matcher: batch.NewMatcher(b)}
	s.settle([]part{{l, 0, 3}}, iterable.Result{SuccessCount: 1, FailCount: 2, Failed: iterable.Failed{
		ConflictUserIDs: []string{"kari"}, NotFoundUserIDs: []string{"kari"}}})
	if len(l.refusals) != 3 {
		t.Errorf("%+v", l.refusals)
	}
}

// uploaderTo makes what uploads people to a server, without a run around it.
func uploaderTo(t *testing.T, h http.HandlerFunc, limits schemas.Limits, people int) *uploader {
	t.Helper()
	srv := httptest.NewServer(h)
	client, err := iterable.New(iterable.Options{
		BaseURL: srv.URL, Limits: limits, Key: func() (string, error) { return "0123456789abcdef", nil },
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); srv.Close() })
	var profiles []batch.Profile
	for i := range people {
		profiles = append(profiles, batch.Profile{Email: fmt.Appendf(nil, "p%03d@example.com", i), DataFields: []byte(`{"text":"` + strings.Repeat("x", 1000) + `"}`), Key: [16]byte{byte(i), 1}})
	}
	in := schemas.UploadInput{Kind: schemas.Subscribe, End: 1, ListID: 1}
	metrics, err := observe.NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	return &uploader{
		in: in, client: client, staged: &ledger.StagedFile{File: oneFile(t, profiles...)}, progress: newTracker(in, schemas.UploadProgress{}),
		pace: &paceLog{}, metrics: metrics, attempt: unheard{}, probe: make(chan struct{}, 1),
		refuse: func(context.Context, int, *batch.Batch, []ledger.Refusal) error { return nil },
	}
}

// unheard are outcomes without an attempt.
type unheard struct{}

func (unheard) Worked()      {}
func (unheard) Failed(error) {}
func (unheard) ReportSoon()  {}

// A turn that is not used because another request has met what stops all of them is
// given back: the limiter has few.
func TestATurnThatIsNotUsedIsGivenBack(t *testing.T) {
	u := uploaderTo(t, func(http.ResponseWriter, *http.Request) { t.Error("a request") }, schemas.Limits{RequestsPerSecond: 100_000}, 2)
	stop, end := context.WithCancel(t.Context())
	end()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 * mostInFlight {
		if _, err := u.sendSome(ctx, stop, &batch.Body{}); !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		u.progress = newTracker(u.in, schemas.UploadProgress{})
	}
}

// Once something stops an upload, a request that Iterable has not taken is not repeated.
func TestARequestIsNotRepeatedOnceTheUploadStops(t *testing.T) {
	stop, end := context.WithCancel(t.Context())
	requests := 0
	u := uploaderTo(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests == 3 {
			end()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}, schemas.Limits{RequestsPerSecond: 100_000}, 2)
	if _, err := u.sendSome(t.Context(), stop, &batch.Body{}); iterable.ClassOf(err) != iterable.Transient || requests != 3 {
		t.Errorf("%v after %d requests", err, requests)
	}
}

// Long rows that are too large together are sent in several requests, and the next batch
// is not first sent as one again.
func TestLongRowsAreSentInSmallerRequests(t *testing.T) {
	var refused, took int
	u := uploaderTo(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) > 30_000 {
			refused++
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		n := bytes.Count(body, []byte(`"email"`))
		took += n
		fmt.Fprintf(w, `{"successCount":%d,"failCount":0}`, n)
	}, schemas.Limits{RequestsPerSecond: 100_000}, 100)
	for range 2 {
		u.progress = newTracker(u.in, schemas.UploadProgress{})
		if _, err := u.sendSome(t.Context(), t.Context(), &batch.Body{}); err != nil {
			t.Fatal(err)
		}
	}
	if took != 200 || refused > 4 {
		t.Errorf("%d rows are taken, %d requests refused", took, refused)
	}
}

// What Iterable took of a batch that was not sent to its end is known, and counts once.
func TestPartsOfABatchAreCounted(t *testing.T) {
	requests := 0
	u := uploaderTo(t, func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests == 2 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"successCount":%d,"failCount":0}`, bytes.Count(body, []byte(`"email"`)))
	}, schemas.Limits{RequestsPerSecond: 100_000, SubscribersPerRequest: 60}, 100)
	if _, err := u.sendSome(t.Context(), t.Context(), &batch.Body{}); iterable.ClassOf(err) != iterable.KeyRejected {
		t.Fatal(err)
	}
	p := u.progress.snapshot()
	if all := p.All(); p.Counts.Sent != 0 || all.Sent != 60 || all.Requests != 2 {
		t.Errorf("after the first part: %+v", p)
	}
	u.progress = newTracker(u.in, p)
	if _, err := u.sendSome(t.Context(), t.Context(), &batch.Body{}); err != nil {
		t.Fatal(err)
	}
	if p = u.progress.snapshot(); len(p.Parts) > 0 || p.All().Sent != 100 || p.All().Requests != 4 {
		t.Errorf("at the end: %+v", p)
	}
}

// Rows of people who can't be mailed may lie side by side: they are rejected one by one,
// and the rest is sent.
func TestManyBadRowsSideBySideAreRejected(t *testing.T) {
	u := uploaderTo(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if regexp.MustCompile(`"p0[0-4]`).Match(body) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"code":"InvalidEmailAddressError"}`)
			return
		}
		fmt.Fprintf(w, `{"successCount":%d,"failCount":0}`, bytes.Count(body, []byte(`"email"`)))
	}, schemas.Limits{RequestsPerSecond: 100_000}, 100)
	if _, err := u.sendSome(t.Context(), t.Context(), &batch.Body{}); err != nil {
		t.Fatal(err)
	}
	if c := u.progress.snapshot().Counts; c.Sent != 50 || c.Refused[schemas.ReasonIterableInvalidEmail] != 50 {
		t.Errorf("%+v", c)
	}
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

// Names of fields that come from the rows, as the keys of a map do, are not repeated.
func TestOnlyMappedFieldsAreNamed(t *testing.T) {
	fields := []schemas.MappedField{{Field: "plan"}, {Field: "prefs"}}
	got := namesOf(fields, []string{"plan", "prefs.ann@example.com", "prefs.bob@example.com", "ann"})
	if want := []string{"plan", "prefs.*", "a field that the rows name"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Fields that a project does not create are part of the result, by their names in the mapping.
func TestFieldsThatIterableLeavesOutAreNamed(t *testing.T) {
	project := httptest.NewServer(sandbox.New(sandbox.Config{Fast: true, DropUnknownFields: true}))
	defer project.Close()
	u := uploaderTo(t, nil, schemas.Limits{}, 2)
	var err error
	if u.client, err = iterable.New(iterable.Options{BaseURL: project.URL, Key: func() (string, error) { return sandbox.DefaultKey, nil }}); err != nil {
		t.Fatal(err)
	}
	defer u.client.Close()
	if u.in.ListID, err = u.client.CreateList(t.Context(), "Spring", ""); err != nil {
		t.Fatal(err)
	}
	u.in.Fields = []schemas.MappedField{{Column: "Text", Field: "text"}}
	if _, err := u.sendSome(t.Context(), t.Context(), &batch.Body{}); err != nil {
		t.Fatal(err)
	}
	if all := u.progress.snapshot().All(); all.Sent != 2 || !slices.Equal(all.IgnoredFields, []string{"text"}) || len(all.CreatedFields) > 0 {
		t.Errorf("%+v", all)
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
// the list, it stops within one look, and has noted before what was answered. It looks every
// 2.5 s.
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
		began := time.Now()
		u.look(t.Context(), nil, func(err error) { failed = err })
		if took := time.Since(began); failed != withdrawn || looks != 3 || notes != 3 || took != 3*2500*time.Millisecond {
			t.Errorf("%v after %d looks and %d notes, in %s", failed, looks, notes, took)
		}
	})
}
