package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// table writes a segment of one Arrow file and gives its folder. The rows are in
// Arrow's own JSON notation, or a record.
func (w *world) table(name string, fields []arrow.Field, rows any) (source string) {
	w.t.Helper()
	record, ok := rows.(arrow.Record)
	if !ok {
		var err error
		record, _, err = array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(rows.(string)))
		if err != nil {
			w.t.Fatal(err)
		}
	}
	defer record.Release()
	var file bytes.Buffer
	out := ipc.NewWriter(&file, ipc.WithSchema(record.Schema()))
	if err := out.Write(record); err != nil {
		w.t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		w.t.Fatal(err)
	}
	source = filepath.Join(w.sources, name)
	if err := os.MkdirAll(source, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "rows.arrow"), file.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return source
}

var textColumn = arrow.BinaryTypes.String

// people writes a segment of people with the numbers from first to last in their
// addresses, and n in a column; further addresses follow.
func (w *world) people(name string, first, last, n int, further ...string) (source string) {
	w.t.Helper()
	var rows []string
	for i := first; i <= last; i++ {
		rows = append(rows, fmt.Sprintf(`{"email": %q, "n": %d}`, person(i), n))
	}
	for _, address := range further {
		rows = append(rows, fmt.Sprintf(`{"email": %q, "n": %d}`, address, n))
	}
	return w.table(name, []arrow.Field{{Name: "email", Type: textColumn}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}},
		"["+strings.Join(rows, ",")+"]")
}

func person(i int) string { return fmt.Sprintf("p%03d@example.com", i) }

// persons are the addresses of people with these numbers, as a list's members.
func persons(first, last int) (all []string) {
	for i := first; i <= last; i++ {
		all = append(all, person(i))
	}
	return all
}

// of is an export of a segment that people wrote.
func (w *world) of(name string) schemas.Export {
	e := w.export(name, "email")
	e.Segments[0].Source = filepath.Join(w.sources, name)
	e.Fields.List = []schemas.Field{{Column: "n"}}
	return e
}

// changes counts the requests that put people on lists and take them off.
func (w *world) changes() [2]int64 {
	return [2]int64{w.requests("lists/subscribe"), w.requests("lists/unsubscribe")}
}

// counting gives what a run did and how many requests of either kind it made.
func (w *world) counting(run func() operate.View) (operate.View, [2]int64) {
	w.t.Helper()
	before := w.changes()
	v := run()
	after := w.changes()
	return v, [2]int64{after[0] - before[0], after[1] - before[1]}
}

// full is run, with everybody sent.
func (w *world) full(e schemas.Export) operate.View {
	w.t.Helper()
	run, _, err := w.operator.Start(w.t.Context(), e, true)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.watch(run)
}
