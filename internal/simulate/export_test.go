package simulate

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/schemas"
)

// exportName and segmentName return the names in a history.
func (h *history) exportName(e int) string {
	if e != h.tried(e) {
		return schemas.TrialName(h.exportName(h.tried(e)))
	}
	return string(rune('A' + e))
}

func (h *history) segmentName(e int) string {
	if e != h.tried(e) {
		return schemas.TrialName(h.segmentName(h.tried(e)))
	}
	switch {
	case h.plan.sameList:
		return "List"
	case h.plan.each:
		return "List " + eachName
	}
	return "List " + h.exportName(e)
}

func (h *history) source(e int) string { return filepath.Join(h.dir, h.exportName(e)+".arrow") }

// fieldNames returns the names of an export's mapped fields. Each export has different ones, so
// that the writer of a value is known.
func (h *history) export(e int, t turn) schemas.Export {
	if t.trial != nil {
		of := t
		of.trial = nil
		out := h.export(h.tried(e), of)
		h.tries(&out, e, t)
		return out
	}
	out := schemas.Export{
		Name: h.exportName(e), Connection: []string{"one", "two"}[e], Email: "email",
		Segments: []schemas.Segment{{Name: h.segmentName(e), Source: h.source(e)}},
	}
	if h.plan.divided {
		out.Segments[0].Split = h.split()
	}
	if h.plan.each {
		out.Segments[0].ForEach = each
		if t.keep {
			out.Segments[0].Vanished = schemas.VanishedKeep
		}
	}
	if t.least > 0 {
		out.Segments[0].Where = &schemas.Condition{Column: "n", AtLeast: schemas.Literal(fmt.Sprint(t.least))}
	}
	if h.plan.project != schemas.ProjectEmail {
		out.UserID = "user"
	}
	out.Mode, out.Deadline = t.mode, schemas.Duration(t.deadline)
	if t.dedupe != "" {
		out.Dedupe.Keep = t.dedupe
		if t.dedupe != schemas.KeepNone {
			out.Dedupe.By = "n"
		}
	}
	if t.constant > 0 {
		out.Fields.List = append(out.Fields.List, schemas.Field{Value: schemas.Literal(fmt.Sprint(t.constant)), As: "c" + out.Name})
	}
	if t.text != nil {
		out.Fields.List = append(out.Fields.List, t.text.field("t"+out.Name))
	}
	var now schemas.Duration
	out.Ready = schemas.Ready{Settle: &now, Then: t.then} // the files are newer than the simulated time
	if t.restart {
		out.Ready.OnChange = schemas.ChangeRestart
	}
	if t.reject {
		out.OnInvalid = schemas.InvalidReject
	}
	for i := range t.fields {
		out.Fields.List = append(out.Fields.List, schemas.Field{Column: []string{"n", "m"}[i], As: []string{"n", "m"}[i] + out.Name})
	}
	if !t.strict {
		all := 1.0
		out.Guardrails = schemas.Guardrails{MaxRemovedShare: &all, MaxRejectedShare: &all, MaxLeftOutShare: &all, AllowEmpty: true, MaxGrowth: 1e9, MaxShrink: 1e9}
	}
	return out
}

// write writes a version of a segment.
func (h *history) write(e int, rows []row) { h.writeRows(h.source(e), rows) }

func (h *history) writeRows(name string, rows []row) {
	h.version++
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "user", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "m", Type: arrow.PrimitiveTypes.Float64}, {Name: "version", Type: arrow.PrimitiveTypes.Int64},
		{Name: each, Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "t", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	text := func(f int, v string) {
		if v == "" {
			b.Field(f).AppendNull()
		} else {
			b.Field(f).(*array.StringBuilder).Append(v)
		}
	}
	for _, r := range rows {
		mail, user := address(r.who), ""
		if r.bare {
			mail = ""
		}
		if r.bad {
			mail = badAddress(r.who)
		}
		if r.user {
			user = userID(r.who)
		}
		if r.none {
			mail, user = "", ""
		}
		text(0, mail)
		text(1, user)
		b.Field(2).(*array.Int64Builder).Append(int64(r.n))
		m := float64(r.n % 2)
		if r.nan {
			m = math.NaN()
		}
		b.Field(3).(*array.Float64Builder).Append(m)
		b.Field(4).(*array.Int64Builder).Append(int64(h.version))
		text(5, values[r.at])
		switch r.n {
		case aText:
			text(6, written)
		case anEmptyText:
			b.Field(6).(*array.StringBuilder).Append("")
		default:
			b.Field(6).AppendNull()
		}
	}
	record := b.NewRecord()
	defer record.Release()
	f, err := os.Create(name)
	must(err)
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(schema))
	must(err)
	must(w.Write(record))
	must(w.Close())
	must(f.Close())
}
