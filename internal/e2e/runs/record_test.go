package runs

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// recorded returns the rows of a run's record: outcome and reason, by who.
func recorded(t *testing.T, w *world.World, run schemas.ExportReport) map[string]string {
	t.Helper()
	data, err := w.Root.Read(t.Context(), run.Record)
	if err != nil {
		t.Fatal(err)
	}
	r, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := rows.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	if schema := table.Schema(); len(schema.Fields()) != len(rejects.RowSchema.Fields()) {
		t.Errorf("the record has the schema %s", schema)
	}
	out := map[string]string{}
	for batches := array.NewTableReader(table, 0); batches.Next(); {
		rec := batches.Record()
		text := func(c string, i int) string {
			col := rec.Column(rec.Schema().FieldIndices(c)[0])
			if col.IsNull(i) {
				return ""
			}
			return col.ValueStr(i)
		}
		for i := range int(rec.NumRows()) {
			who, what := text("email", i)+text("person", i), strings.TrimSpace(text("outcome", i)+" "+text("reason", i))
			sent := slices.Contains([]string{"added", "updated", "removed", "refused"}, text("outcome", i))
			if before, twice := out[who]; twice {
				what = before + ", " + what
			}
			out[who] = what
			if sent != (text("request", i) != "") || sent != (text("time", i) != "") {
				t.Errorf("%s: %s by request %q at %q", who, what, text("request", i), text("time", i))
			}
		}
	}
	return out
}

// TestTheRecordOfEachRow: a run records what became of each row, of every kind.
func TestTheRecordOfEachRow(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, true) // the limits are another test's
	e := w.Of("Four")
	e.Email = "Email" // the file's column is named in lower case
	w.People("Four", 1, 4, 1)
	first := w.Done(w.Run(e))
	want := map[string]string{}
	for i := 1; i <= 4; i++ {
		want[world.Person(i)] = "added"
	}
	if got := recorded(t, w, first); !maps.Equal(got, want) {
		t.Errorf("first: %v, want %v", got, want)
	}

	w.Sandbox.Mark("conflict", world.Person(6))
	w.People("Four", 2, 3, 1, world.Person(4), world.Person(4), "nobody@nowhere", " Nobody@Example.CON", world.Person(6))
	e.Fields.List[0].As = "m" // so that all members are sent again
	e.FullRuns, e.Guardrails.MaxRejectedShare = schemas.Allow, world.Share(1)
	second := w.Done(w.Run(e))
	want = map[string]string{
		world.Person(1): "removed left", world.Person(2): "updated", world.Person(3): "updated", world.Person(4): "updated, duplicate duplicate",
		"nobody@nowhere": "rejected no_tld", "nobody@example.con": "rejected unknown_tld", world.Person(6): "refused iterable_conflict",
	}
	if got := recorded(t, w, second); !maps.Equal(got, want) {
		t.Errorf("second: %v, want %v", got, want)
	}

	e.Record, e.RecordIdentity = schemas.RecordAll, schemas.IdentityHash
	w.People("Four", 2, 2, 1)
	e.Guardrails.MaxRemovedShare, e.Guardrails.MaxShrink = world.Share(1), 10
	third := w.Done(w.Run(e))
	got := recorded(t, w, third)
	if len(got) != 3 {
		t.Errorf("third: %v", got)
	}
	for who, what := range got {
		if len(who) != 64 || what != "unchanged" && what != "removed left" {
			t.Errorf("third: %q is %s", who, what)
		}
	}
	e.Record = schemas.RecordNone
	if last := w.Done(w.Run(e)); last.Record != "" {
		t.Errorf("a run without a record has %s", filepath.Base(last.Record))
	}
}

// TestTheRecordHasEveryRow: with record: all, what the report counts is in the record, whatever is
// wrong with a row, and whether it matches the condition or not.
func TestTheRecordHasEveryRow(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, true) // the limits are another test's
	long := strings.Repeat("x", 5000)
	row := func(address string, n int) string { return fmt.Sprintf(`{"email": %s, "n": %d}`, address, n) }
	segment := func(last int) {
		var rows []string
		for n := range 2 { // those of 0 do not match
			for i := 1; i <= last; i++ {
				rows = append(rows, row(fmt.Sprintf("%q", world.Person(i+100*n)), n))
			}
			for _, address := range []string{"null", `""`, `"broken"`, `"broken"`, `" Nobody@Example.CON"`, fmt.Sprintf("%q", world.Person(1)), fmt.Sprintf("%q", long)} {
				rows = append(rows, row(address, n))
			}
		}
		w.Table("All", []arrow.Field{{Name: "email", Type: world.TextColumn, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}}, "["+strings.Join(rows, ",")+"]")
	}
	e := w.Of("All")
	e.Segments[0].Where = &schemas.Condition{Column: "n", AtLeast: schemas.Literal("1")}
	e.Record, e.Guardrails.MaxRejectedShare, e.Guardrails.MaxRemovedShare = schemas.RecordAll, world.Share(1), world.Share(1)
	w.Sandbox.Mark("conflict", world.Person(102))
	w.Sandbox.Mark("forgotten", world.Person(103))
	for _, last := range []int{6, 5} { // one is removed
		segment(last)
		r := w.Done(w.Run(e))
		rows := map[string]int64{}
		total := int64(0)
		got := recorded(t, w, r)
		for _, what := range got {
			for _, one := range strings.Split(what, ", ") {
				outcome, _, _ := strings.Cut(one, " ")
				rows[outcome]++
				if outcome != "removed" {
					total++
				}
			}
		}
		m := r.Manifest
		var rejected int64
		for _, n := range r.Rejected {
			rejected += n
		}
		for outcome, want := range map[string]int64{"filtered": m.Filtered, "duplicate": m.Duplicates, "unchanged": m.Unchanged, "added": r.Upload.Sent, "removed": m.Removals} {
			if rows[outcome] != want {
				t.Errorf("%d rows are %s in the record, %d in the report", rows[outcome], outcome, want)
			}
		}
		if n := rows["rejected"] + rows["refused"] + rows["forgotten"]; n != rejected {
			t.Errorf("%d rows are rejected, refused or forgotten in the record, %d in the report: %v, %v", n, rejected, rows, r.Rejected)
		}
		if total != m.Read {
			t.Errorf("the record has %d of the %d rows read: %v", total, m.Read, got)
		}
		if what := got["nobody@example.con"]; what != "filtered, rejected unknown_tld" && what != "rejected unknown_tld, filtered" {
			t.Errorf("nobody@example.con: %s", what)
		}
	}
}
