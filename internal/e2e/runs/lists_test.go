package runs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"go.temporal.io/sdk/worker"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// customers writes a Parquet file of customers: of each country the numbers from first to last.
func customers(w *world.World, countries ...string) (source string) {
	w.T.Helper()
	var rows []string
	for _, c := range countries {
		var country string
		var first, last int
		if _, err := fmt.Sscanf(c, "%s %d %d", &country, &first, &last); err != nil {
			w.T.Fatal(err)
		}
		for i := first; i <= last; i++ {
			rows = append(rows, fmt.Sprintf(`{"email": %q, "country": %q, "n": 1}`, world.Person(i), strings.Trim(country, "-")))
		}
	}
	fields := []arrow.Field{{Name: "email", Type: world.TextColumn}, {Name: "country", Type: world.TextColumn}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}}
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader("["+strings.Join(rows, ",")+"]"))
	if err != nil {
		w.T.Fatal(err)
	}
	defer rec.Release()
	source = filepath.Join(w.Sources, "Customers")
	if err := os.MkdirAll(source, 0o700); err != nil {
		w.T.Fatal(err)
	}
	file, err := os.Create(filepath.Join(source, "customers.parquet"))
	if err != nil {
		w.T.Fatal(err)
	}
	out, err := pqarrow.NewFileWriter(rec.Schema(), file, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err == nil {
		err = out.Write(rec)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		w.T.Fatal(err)
	}
	return source
}

// listed returns the lists of a run with what was sent and removed, and fails the test if a list
// has read the source.
func listed(w *world.World, v operate.View) string {
	w.T.Helper()
	var all []string
	for _, s := range v.Segments {
		r := s.Report
		if r.Divided != nil {
			if r.Manifest.Reads == 0 || s.State != schemas.StateDone {
				w.T.Errorf("%q is %s after %d reads", s.Run.Segment, s.State, r.Manifest.Reads)
			}
			continue
		}
		if r.Manifest.Reads != 0 || r.Manifest.BytesRead != 0 {
			w.T.Errorf("list %q has read %d times from the source", r.Segment, r.Manifest.Reads)
		}
		all = append(all, fmt.Sprintf("%s %s +%d -%d", r.Segment, r.State, r.Upload.Sent, r.Upload.Removed))
	}
	return strings.Join(all, ", ")
}

// TestEachCountryHasAList: three countries, one of which vanishes and one is new; the source is
// read once by each run.
func TestEachCountryHasAList(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	source := customers(w, "NO 1 40", "SE 41 60", "FI 61 70", "- 71 72")
	export := func(name, segment, vanished string) schemas.Export {
		e := w.Export(name, "email")
		e.Fields.List = []schemas.Field{{Column: "n"}, {Column: "country"}}
		e.Segments = []schemas.Segment{{Name: segment, Source: source, ForEach: "country", Vanished: vanished}}
		return e
	}
	empty, keep := export("Emptied", "In {country}", ""), export("Kept", "Kept in {country}", schemas.VanishedKeep)

	check, _, err := w.Operator.Check(t.Context(), empty, false)
	if err != nil {
		t.Fatal(err)
	}
	found := w.Watch(check)
	if d := w.Done(found).Divided; d == nil || fmt.Sprint(d.Lists) != "[{In FI 10 false false} {In NO 40 false false} {In SE 20 false false}]" || d.WithoutValue != 2 {
		t.Errorf("the check: %+v", d)
	}
	v := w.Run(empty)
	if w.Done(v); listed(w, v) != "In FI done +10 -0, In NO done +40 -0, In SE done +20 -0" {
		t.Errorf("%s", listed(w, v))
	}
	if got := strings.Join(w.Members("In FI"), " "); got != strings.Join(world.Persons(61, 70), " ") {
		t.Errorf("in Finland: %s", got)
	}
	if v := w.Run(keep); w.Done(v).Manifest.Read != 72 {
		t.Errorf("%+v", v)
	}
	v = w.Run(empty) // nothing has changed
	if w.Done(v); listed(w, v) != "In FI done +0 -0, In NO done +0 -0, In SE done +0 -0" {
		t.Errorf("unchanged: %s", listed(w, v))
	}

	customers(w, "NO 1 40", "SE 41 60", "DK 61 65")
	v = w.Run(empty)
	w.WaitsWith(v, schemas.ErrorGuardrail, "no profile that can be sent", "10 of the 10 members of the list would be removed")
	if w.List("In FI").Size != 10 || w.List("In DK").Size != 5 {
		t.Error("the list of a value that vanished does not wait, or the others do")
	}
	v = w.Answer(v, schemas.UpdateApprove)
	if w.Done(v); listed(w, v) != "In DK done +5 -0, In FI done +0 -10, In NO done +0 -0, In SE done +0 -0" || w.List("In FI").Size != 0 {
		t.Errorf("with a new country: %s", listed(w, v))
	}
	v = w.Run(empty)
	if w.Done(v); listed(w, v) != "In DK done +0 -0, In NO done +0 -0, In SE done +0 -0" {
		t.Errorf("after a country is gone: %s", listed(w, v))
	}
	v = w.Run(keep)
	if r := w.Done(v); listed(w, v) != "Kept in DK done +5 -0, Kept in NO done +0 -0, Kept in SE done +0 -0" || w.List("Kept in FI").Size != 10 ||
		!strings.Contains(strings.Join(r.Warnings, "; "), "no row has the value of 1 lists any more, which stay as they are: Kept in FI") {
		t.Errorf("kept: %s, %s", listed(w, v), r.Warnings)
	}
	w.NothingIsLeft()
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	for name, h := range histories(w) {
		if err := replayer.ReplayWorkflowHistory(nil, h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	a := operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: empty}}
	out, err := w.Operator.RemoveUnapplied(t.Context(), a.Export, true)
	if err != nil || fmt.Sprintf("%d %+v", len(out.Lists), out.Lists[0].Deleted) != "4 true" || out.Lists[0].Name != "In DK" {
		t.Errorf("removed: %+v, %v", out, err)
	}
}

// TestTheGroupsOfASplitReadOnce: each group has a list, and the source is read once.
func TestTheGroupsOfASplitReadOnce(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := w.Export("Campaign", "email")
	e.Segments = []schemas.Segment{{Name: "Spring", Source: customers(w, "NO 1 200"), Split: &schemas.Split{
		Groups: map[string]string{"control": "20%", "A": "40%", "B": "40%"}, Holdout: []string{"control"},
	}}}
	v := w.Run(e)
	r := w.Done(v)
	a, b := w.Members("Spring/A"), w.Members("Spring/B")
	if held := r.Divided.HeldOut; held == 0 || r.Manifest.Read != 200 || len(a)+len(b)+int(held) != 200 || len(a) < 50 || len(b) < 50 {
		t.Errorf("%d and %d members, %+v", len(a), len(b), r.Divided)
	}
	s := w.Starter()
	s.Contains(s.Want(2, "record", v.Run.RunID), "the rows of 2 lists; name one with --segment: Spring/A or Spring/B")
	s.Contains(s.Want(1, "record", v.Run.RunID, "--segment", "Spring"), "no record of the rows of \"Spring\"")
	if again := w.Run(e); listed(w, again) != "Spring/A done +0 -0, Spring/B done +0 -0" {
		t.Errorf("again: %s", listed(w, again))
	}
	whole := w.Export("Whole", "email")
	whole.Segments[0].Source = e.Segments[0].Source
	if plain := w.Done(w.Run(whole)).Manifest; plain.Reads < r.Manifest.Reads {
		t.Errorf("%d reads for the groups, %d for a segment", r.Manifest.Reads, plain.Reads)
	}
	w.NothingIsLeft()
}
