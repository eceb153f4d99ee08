//go:build !race

package activities

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// mostMemory is what staging a segment may take (docs/security.md).
const mostMemory = 2 << 30

const hostileRows = 5000

// hostileColumns are columns whose few bytes stand for far more JSON than there is
// memory, and the reason why their rows are not sent.
func hostileColumns() map[string]struct {
	column func() arrow.Array
	reason schemas.Reason
} {
	named := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	dictionary := func(n int, text string) arrow.Array {
		values, index := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt8Builder(memory.DefaultAllocator)
		values.Append(text)
		index.AppendValues(make([]int8, n), nil)
		return array.NewDictionaryArray(named, index.NewArray(), values.NewArray())
	}
	return map[string]struct {
		column func() arrow.Array
		reason schemas.Reason
	}{
		"a text of 50 MB": {func() arrow.Array { return dictionary(hostileRows, strings.Repeat("x", 50<<20)) }, schemas.ReasonTooLarge},
		"a text of 20 KB": {func() arrow.Array { return dictionary(hostileRows, strings.Repeat("x", 20<<10)) }, ""},
		"invalid UTF-8":   {func() arrow.Array { return dictionary(hostileRows, "\xff\xfe") }, ""}, // left out
		"NUL":             {func() arrow.Array { return dictionary(hostileRows, "a\x00b") }, ""},
		"a list that names a text of 1 MB a thousand times": {func() arrow.Array {
			const length = 1000
			offsets := make([]int32, hostileRows+1)
			for i := range offsets {
				offsets[i] = int32(i * length)
			}
			data := dictionary(hostileRows*length, strings.Repeat("x", 1<<20)).Data()
			return array.MakeFromData(array.NewData(arrow.ListOf(named), hostileRows, []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}, []arrow.ArrayData{data}, 0, 0))
		}, schemas.ReasonTooLarge},
	}
}

// TestHostileRows stages rows that stand for terabytes of JSON, in a process that
// is refused more memory than a worker may take for a segment.
func TestHostileRows(t *testing.T) {
	if name := os.Getenv("HOSTILE_ROWS"); name != "" {
		stageHostile(t, name)
		return
	}
	if testing.Short() {
		t.Skip("it takes gigabytes")
	}
	cases := hostileColumns()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileRows$", "-test.v")
			cmd.Env = append(os.Environ(), "HOSTILE_ROWS="+name, fmt.Sprintf("GOMEMLIMIT=%d", mostMemory/4*3))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%.4000s", err, out)
			}
			want := "RESULT 5000 sent, 0 rejected\n"
			if reason := cases[name].reason; reason != "" {
				want = fmt.Sprintf("RESULT 0 sent, 5000 rejected as %s\n", reason)
			}
			if !strings.Contains(string(out), want) {
				t.Errorf("%s\ndoes not say %s", out, want)
			}
		})
	}
}

// stageHostile is what the process of its own does.
func stageHostile(t *testing.T, name string) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	b.env.RegisterActivityWithOptions(b.InspectSegment, activity.RegisterOptions{Name: schemas.ActivityInspectSegment})
	folder := t.TempDir()
	c, err := b.Activities.Connections.Get("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	c.AllowedSources = []string{folder}
	b.Activities.Connections = oneConnection{c}
	writeHostile(t, filepath.Join(folder, "rows.arrow"), hostileColumns()[name].column())
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: mostMemory, Max: mostMemory}); err != nil {
		t.Fatal(err)
	}

	in := schemas.StageInput{
		Run:     schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "Hostile"},
		Export:  schemas.Export{Name: "Spring", Connection: "sandbox", Email: "email", Fields: schemas.Fields{All: true}},
		Segment: schemas.Segment{Name: "Hostile", Source: folder}, ListID: 1,
	}
	v, err := b.env.ExecuteActivity(schemas.ActivityInspectSegment, schemas.InspectInput{Run: in.Run, Export: in.Export, Segment: in.Segment})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Get(&in.Info); err != nil {
		t.Fatal(err)
	}
	var m schemas.Manifest
	if v, err = b.env.ExecuteActivity(schemas.ActivityStageSegment, in); err != nil {
		t.Fatal(err)
	}
	if err := v.Get(&m); err != nil {
		t.Fatal(err)
	}
	rejected := int64(0)
	reasons := ""
	for reason, n := range m.Rejected {
		rejected += n
		reasons += " as " + string(reason)
	}
	fmt.Printf("\nRESULT %d sent, %d rejected%s\n", m.Adds, rejected, reasons)
	if text, err := json.Marshal(m); err != nil || len(text) > 10_000 {
		t.Errorf("the manifest has %d bytes, %v", len(text), err)
	}
}

func writeHostile(t *testing.T, path string, column arrow.Array) {
	t.Helper()
	emails := array.NewStringBuilder(memory.DefaultAllocator)
	for i := range column.Len() {
		emails.Append(fmt.Sprintf("p%d@example.com", i))
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "email", Type: arrow.BinaryTypes.String}, {Name: "v", Type: column.DataType(), Nullable: true}}, nil)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(schema), ipc.WithZstd())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(array.NewRecord(schema, []arrow.Array{emails.NewArray(), column}, int64(column.Len()))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
