package snapshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/ipc"

	"iterable-segment-export/schemas"
)

// publish makes a snapshot of members in any order.
func publish(t testing.TB, members []Member, h Header) []byte {
	t.Helper()
	u := NewUpdate("", 0)
	defer u.Close()
	for i := range members {
		if err := u.Put(&members[i]); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := u.Publish(context.Background(), nil, h, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func people(from, to int) (out []Member) {
	for i := from; i < to; i++ {
		out = append(out, person(i, Reserved+uint64(i)))
	}
	return out
}

func TestOpen(t *testing.T) {
	written := testHeader
	written.RunID, written.CreatedAt = "run-1", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	file := publish(t, people(0, 10), written)
	with := func(change func(*Header)) Header {
		h := testHeader
		change(&h)
		return h
	}
	for name, c := range map[string]struct {
		expect Header
		err    error
	}{
		"the same":           {testHeader, nil},
		"another export":     {with(func(h *Header) { h.Export = "x" }), ErrForeign},
		"another segment":    {with(func(h *Header) { h.Segment = "x" }), ErrForeign},
		"another connection": {with(func(h *Header) { h.Connection = "x" }), ErrForeign},
		"another list":       {with(func(h *Header) { h.ListID = 8 }), ErrListReplaced},
		"another mapping":    {with(func(h *Header) { h.Mapping = "m2" }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(bytes.NewReader(file), int64(len(file)), c.expect)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if want := c.expect.Mapping != written.Mapping; s.MappingChanged() != want {
				t.Errorf("MappingChanged is %v", !want)
			}
			want := written
			want.Format, want.Rows = Format, 10
			if !reflect.DeepEqual(s.Header(), want) {
				t.Errorf("header %+v, want %+v", s.Header(), want)
			}
		})
	}
}

// TestReadableByArrow makes sure that anybody can look at a snapshot.
func TestReadableByArrow(t *testing.T) {
	for _, rows := range []int{0, 10, batchRows + 10} {
		file := publish(t, people(0, rows), testHeader)
		r, err := ipc.NewFileReader(bytes.NewReader(file), ipc.WithSchema(schemas.SnapshotSchema))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for k := range r.NumRecords() {
			rec, err := r.RecordAt(k)
			if err != nil {
				t.Fatal(err)
			}
			got += int(rec.NumRows())
			rec.Release()
		}
		if got != rows {
			t.Errorf("Arrow reads %d rows, want %d", got, rows)
		}
		header, ok := r.Schema().Metadata().GetValue("snapshot")
		if !ok || !strings.Contains(header, `"segment":"High-value"`) {
			t.Errorf("the schema's metadata has the header %q", header)
		}
		if string(file[:6]) != string(ipc.Magic) {
			t.Error("the file doesn't start as an Arrow file")
		}
		r.Close()
	}
}

func TestWriterRefuses(t *testing.T) {
	w, err := NewWriter(io.Discard, testHeader)
	if err != nil {
		t.Fatal(err)
	}
	m := person(1, 1)
	if err := w.Append(&m); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(&m); err == nil {
		t.Error("the same key was taken twice")
	}
	if err := w.Append(&Member{Key: keyOf(^uint64(0), 0)}); err == nil {
		t.Error("a member without an identifier was accepted")
	}
}

func TestMappingChanged(t *testing.T) {
	file := publish(t, people(0, 10), testHeader)
	expect := testHeader
	expect.Mapping = "m2"
	s, err := Open(bytes.NewReader(file), int64(len(file)), expect)
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]Profile, 0, 6)
	for i := range 6 {
		rows = append(rows, profile(i, uint64(i)))
	}
	got := compare(t, s, rows, Options{Rows: 6})
	if want := (Counts{Changed: 6, Vanished: 4}); got.counts != want {
		t.Errorf("%+v, want %+v", got.counts, want)
	}
}

func TestNobodyVanishesUnasked(t *testing.T) {
	s := mustOpen(t, publish(t, people(0, 10), testHeader))
	d, err := NewDiffer(context.Background(), s, Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Finish(context.Background(), nil)
	if err != nil || got != (Counts{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestTemporaryFiles: what is sorted in files lies there for nobody else, and no longer
// than it is needed.
func TestTemporaryFiles(t *testing.T) {
	sort := func(dir string) error {
		u := NewUpdate(dir, 10_000)
		defer u.Close()
		for i := range 3000 {
			m := person(i, Reserved)
			if err := u.Put(&m); err != nil {
				return err
			}
		}
		if len(u.sorter.runs) == 0 {
			t.Error("nothing was put aside")
		}
		for _, f := range u.sorter.runs {
			if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("people's data is readable by others: %v", err)
			}
		}
		h, err := u.Publish(t.Context(), nil, testHeader, io.Discard)
		if err == nil && h.Rows != 3000 {
			t.Errorf("%d are left of 3000", h.Rows)
		}
		return err
	}
	dir := t.TempDir()
	if err := sort(dir); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("%d files are left", len(left))
	}
	if err := sort(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
}

func TestCancel(t *testing.T) {
	s := mustOpen(t, publish(t, people(0, 10), testHeader))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewDiffer(ctx, s, Options{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("compare: %v", err)
	}
	u := NewUpdate("", 0)
	defer u.Close()
	if _, err := u.Publish(ctx, s, testHeader, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("publish: %v", err)
	}
	if err := u.Put(&Member{}); err == nil {
		t.Error("an update was used again")
	}
}

func TestMappingFingerprint(t *testing.T) {
	base := schemas.Export{Email: "Email"}
	was := base.MappingFingerprint("")
	same := base
	same.Nulls, same.Mode, same.Name = schemas.NullsOmit, schemas.ModeAppend, "other"
	if same.MappingFingerprint(schemas.ProjectEmail) != was {
		t.Error("it changes with what shapes nothing")
	}
	for name, change := range map[string]func(*schemas.Export){
		"email":      func(e *schemas.Export) { e.Email = "Mail" },
		"user id":    func(e *schemas.Export) { e.UserID = "Id" },
		"fields":     func(e *schemas.Export) { e.Fields = schemas.Fields{List: []schemas.Field{{Column: "a"}}} },
		"all fields": func(e *schemas.Export) { e.Fields = schemas.Fields{All: true} },
		"nulls":      func(e *schemas.Export) { e.Nulls = schemas.NullsSend },
		"nested":     func(e *schemas.Export) { e.MergeNestedObjects = true },
	} {
		e := base
		change(&e)
		if e.MappingFingerprint("") == was {
			t.Errorf("it doesn't change with %s", name)
		}
	}
}

// TestUnevenKeys: correctness does not rest on keys being evenly spread.
func TestUnevenKeys(t *testing.T) {
	var members []Member
	for i := range uint64(3000) {
		members = append(members, Member{Key: keyOf(i/1000, i), Fields: Reserved, Email: []byte("a@example.com")})
	}
	s := mustOpen(t, publish(t, members, testHeader))
	rows := []Profile{{Member: Member{Key: Key{}, Fields: Reserved}}, {Member: Member{Key: keyOf(1, 1), Fields: Reserved}}}
	for i := range members {
		rows = append(rows, Profile{Member: members[i]})
	}
	want := Counts{New: 1, Unchanged: 3000, Duplicate: 1}
	if got := compare(t, s, rows, Options{Rows: 3002}); got.counts != want {
		t.Errorf("%+v, want %+v", got.counts, want)
	}
	var index = newIndex(0, 0, 0)
	for _, want := range []Verdict{New, Duplicate} {
		if got := index.mark(Key{}, 0); got != want {
			t.Errorf("the zero key is %v, want %v", got, want)
		}
	}
}
