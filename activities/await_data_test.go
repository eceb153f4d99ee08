package activities

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// lookTime is later than any time at which a test changes a file, which can't be set.
var lookTime = time.Date(2036, 1, 31, 23, 30, 0, 0, time.UTC)

// looks is a bench with a folder of one file that a segment reads, and a clock.
type looks struct {
	*bench
	t      *testing.T
	folder string
	now    time.Time
	in     schemas.InspectInput
}

func newLooks(t *testing.T) *looks {
	t.Helper()
	l := &looks{bench: newBench(t, sandbox.New(sandbox.Config{Fast: true})), t: t, folder: t.TempDir(), now: lookTime}
	l.Activities.Now = func() time.Time { return l.now }
	l.Activities.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{l.folder}}}
	l.env.RegisterActivityWithOptions(l.InspectSegment, activity.RegisterOptions{Name: schemas.ActivityInspectSegment})
	l.in = schemas.InspectInput{
		Run:     schemas.RunRef{Connection: "sandbox", Export: "Spring", RunID: "r2", Segment: "High-value"},
		Export:  schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", UserID: "Id"},
		Segment: schemas.Segment{Name: "High-value", Source: l.folder}, Connection: schemas.ConnectionInfo{Name: "sandbox"},
	}
	writeIdentities(t, filepath.Join(l.folder, "people.arrow"), []identity{{email: "ann@example.com"}})
	l.dated("people.arrow", time.Hour)
	return l
}

// dated makes a file of the folder that old, and makes it if it is not there.
func (l *looks) dated(name string, age time.Duration) {
	l.t.Helper()
	file := filepath.Join(l.folder, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := os.Chtimes(file, l.now.Add(-age), l.now.Add(-age)); err != nil {
		l.t.Fatal(err)
	}
}

// look inspects the segment and returns the result.
func (l *looks) look(want *schemas.Wanted) (schemas.SegmentInfo, error) {
	l.t.Helper()
	l.in.Wanted = want
	var info schemas.SegmentInfo
	v, err := l.env.ExecuteActivity(schemas.ActivityInspectSegment, l.in)
	if err == nil {
		err = v.Get(&info)
	}
	return info, err
}

// ready fails the test unless the data is ready, or is not for that reason.
func (l *looks) ready(want schemas.Wanted, why string) schemas.SegmentInfo {
	l.t.Helper()
	if want.Began.IsZero() {
		want.Began = l.now
	}
	info, err := l.look(&want)
	switch {
	case err != nil:
		l.t.Errorf("%+v: %v", want, err)
	case why == "" && (info.Unready != nil || info.Files != 1):
		l.t.Errorf("%+v: %+v %+v", want, info, info.Unready)
	case why != "" && (info.Unready == nil || !strings.Contains(info.Unready.Why, why)):
		l.t.Errorf("%+v: %+v, want %q", want, info.Unready, why)
	}
	return info
}

func TestDataSettles(t *testing.T) {
	l := newLooks(t)
	settle := schemas.Wanted{Settle: schemas.Duration(2 * time.Minute)}
	l.ready(settle, "")
	l.dated("people.arrow", time.Minute)
	info := l.ready(settle, `"people.arrow" was written at 2036-01-31 23:29:00 UTC, and no file may have changed for 2m (ready.settle)`)
	if at := l.now.Add(time.Minute); !info.Unready.SettledAt.Equal(at) {
		t.Errorf("settled at %s, want %s", info.Unready.SettledAt, at)
	}
	l.ready(schemas.Wanted{}, "")

	// A file from the future is settled once the run has seen it unchanged for long enough.
	l.dated("people.arrow", -48*time.Hour)
	settle.Listing = l.ready(settle, "2036-02-02").Unready.Listing
	settle.Quiet = schemas.Duration(time.Minute)
	l.ready(settle, "2036-02-02")
	settle.Quiet = settle.Settle
	l.ready(settle, "")
	l.dated("people.arrow", -49*time.Hour)
	l.ready(settle, "2036-02-03")
}

// TestAMarkerElsewhereIsMissing: whoever may read one file of a folder learns from markers neither
// which other files there are nor when they were written.
func TestAMarkerElsewhereIsMissing(t *testing.T) {
	l := newLooks(t)
	l.in.Segment.Source = filepath.Join(l.folder, "people.arrow")
	l.Activities.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{l.in.Segment.Source}}}
	l.dated("salaries.txt", time.Minute)
	l.dated("private/salaries.txt", time.Minute)
	for _, marker := range []string{"salaries.txt", "sal*", "private/s*", "nothing.txt"} {
		l.ready(schemas.Wanted{Ready: schemas.Ready{Marker: marker}}, "there is no file \""+marker+"\" (ready.marker)")
	}
	l.ready(schemas.Wanted{Ready: schemas.Ready{Marker: "peo*"}}, "")
}

// TestTheFolderOfAMarkerIsMissing: a misspelt source is not taken for data that is late.
func TestTheFolderOfAMarkerIsMissing(t *testing.T) {
	l := newLooks(t)
	want := schemas.Wanted{Ready: schemas.Ready{Marker: "_SUCCESS"}}
	missing := filepath.Join(l.folder, "custmers")
	for _, source := range []string{missing, filepath.Join(missing, "*.arrow"), filepath.Join(missing, "people.arrow")} {
		l.in.Segment.Source = source
		l.ready(want, `there is no file "_SUCCESS" (ready.marker), because the folder `+missing+" does not exist")
	}
	l.in.Segment.Source = l.folder
	if info := l.ready(want, `there is no file "_SUCCESS" (ready.marker)`); strings.Contains(info.Unready.Why, "folder") {
		t.Errorf("a folder that exists: %s", info.Unready.Why)
	}
}

func TestDataHasAMarker(t *testing.T) {
	l := newLooks(t)
	want := schemas.Wanted{Ready: schemas.Ready{Marker: "_SUCCESS"}, Settle: schemas.Duration(2 * time.Minute)}
	l.dated("people.arrow", time.Minute)
	l.ready(want, `there is no file "_SUCCESS" (ready.marker)`)
	l.dated("_SUCCESS", 30*time.Second)
	l.ready(want, "") // nothing has to settle that the marker is newer than
	l.dated("_SUCCESS", 24*time.Hour)
	const stale = `the marker "_SUCCESS" is of 2036-01-30 23:30:00 UTC, but "people.arrow" was written after it, at 2036-01-31 23:29:00 UTC`
	l.ready(want, stale)
	want.Settle = 0
	l.ready(want, stale)
	l.dated("people.arrow", 20*time.Hour) // older than settle
	l.ready(want, `but "people.arrow" was written after it`)

	want.Ready.Marker, want.Settle = "done/{date}.*", 0
	l.ready(want, `there is no file "done/2036-01-31.*"`)
	want.Ready.TimeZone = "Europe/Oslo"
	l.ready(want, `there is no file "done/2036-02-01.*"`)
	l.in.Segment.Source = filepath.Join(l.folder, "*.arrow")
	l.dated("done/2036-02-01.txt", 0)
	l.ready(want, "")

	l.in.Segment.Source = filepath.Join(l.folder, "later.arrow")
	want.Ready.Marker = "_LATER"
	l.ready(want, `there is no file "_LATER"`)
	l.dated("_LATER", 0)
	l.ready(want, "there are no files yet")
}

// TestAMarkerIsNoData: a marker that is not hidden is not read as a part of the segment.
func TestAMarkerIsNoData(t *testing.T) {
	l := newLooks(t)
	want := schemas.Wanted{Ready: schemas.Ready{Marker: "done-{date}"}}
	l.in.Export.Ready = want.Ready
	l.dated("done-2036-01-30", 24*time.Hour)
	l.ready(want, `there is no file "done-2036-01-31"`)
	l.dated("done-2036-01-31", 0)
	l.ready(want, "")
	if err := os.Remove(filepath.Join(l.folder, "people.arrow")); err != nil {
		t.Fatal(err)
	}
	l.ready(want, "there are no files yet")
}

func TestDataIsMissing(t *testing.T) {
	l := newLooks(t)
	l.in.Segment.Source = filepath.Join(l.folder, "later")
	if _, err := l.look(&schemas.Wanted{}); !isMissing(err) {
		t.Errorf("%v", err)
	}
	l.ready(schemas.Wanted{Missing: true}, "there are no files yet")
	l.dated("later/_temporary/0/x", 0)
	l.ready(schemas.Wanted{}, "a Hadoop or Spark job has not committed what it writes (_temporary/0)")
	if _, err := l.look(nil); !isMissing(err) {
		t.Errorf("no data is required, and no file exists: %v", err)
	}
	l.in.Segment.Source = "/elsewhere"
	if _, err := l.look(&schemas.Wanted{Missing: true}); err == nil || !strings.Contains(err.Error(), "allow") {
		t.Errorf("%v", err)
	}
}

func TestDataIsNewEnough(t *testing.T) {
	l := newLooks(t)
	l.ready(schemas.Wanted{Ready: schemas.Ready{MaxAge: schemas.Duration(2 * time.Hour)}}, "")
	l.ready(schemas.Wanted{Ready: schemas.Ready{MaxAge: schemas.Duration(30 * time.Minute)}}, "the newest file is of 2036-01-31 22:30 UTC, older than 30m (ready.maxAge)")

	since := schemas.Wanted{Ready: schemas.Ready{NewerThan: schemas.NewerThanLastRun}}
	info := l.ready(since, "") // the first run
	l.wasRead(info)
	earlier := info
	earlier.Newest = info.Newest.Add(-time.Hour)
	l.wasDivided(earlier) // by a split that the segment had once
	const none = "no file is newer than those of 2036-01-31 22:30:00 UTC that the last run has read (ready.newerThan)"
	l.ready(since, none)
	l.in.Segment.Split = &schemas.Split{Groups: map[string]string{"A": "100%"}}
	l.ready(since, "")
	l.wasDivided(info)
	l.ready(since, none)
	l.dated("people.arrow", time.Minute)
	l.ready(since, "")
	l.in.Segment.Split = nil
	l.ready(since, "")
}

// TestATableIsNewEnough: a newer version counts, whether or not it has newer files.
func TestATableIsNewEnough(t *testing.T) {
	l := newLooks(t)
	l.in.Segment.Source = filepath.Join(l.folder, "table")
	size := writeMail(t, filepath.Join(l.in.Segment.Source, "a.parquet"))
	l.dated("table/a.parquet", time.Hour)
	commit := func(version int, actions string) {
		t.Helper()
		log := filepath.Join(l.in.Segment.Source, "_delta_log", fmt.Sprintf("%020d.json", version))
		if err := errors.Join(os.MkdirAll(filepath.Dir(log), 0o755), os.WriteFile(log, []byte(actions), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	commit(0, fmt.Sprintf(`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"t","format":{"provider":"parquet","options":{}},"schemaString":%q,"partitionColumns":[],"configuration":{}}}
{"add":{"path":"a.parquet","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}
`, `{"type":"struct","fields":[{"name":"Mail","type":"string","nullable":true,"metadata":{}},{"name":"Id","type":"string","nullable":true,"metadata":{}}]}`, size))
	l.ready(schemas.Wanted{Ready: schemas.Ready{MaxAge: schemas.Duration(2 * time.Hour)}}, "")
	l.ready(schemas.Wanted{Ready: schemas.Ready{MaxAge: schemas.Duration(30 * time.Minute)}}, "the newest file is of 2036-01-31 22:30 UTC, older than 30m (ready.maxAge)")
	l.ready(schemas.Wanted{Ready: schemas.Ready{Marker: "_SUCCESS"}}, `there is no file "_SUCCESS" (ready.marker)`)
	l.dated("table/_SUCCESS", 2*time.Hour)
	l.ready(schemas.Wanted{Ready: schemas.Ready{Marker: "_SUCCESS"}}, "")

	since := schemas.Wanted{Ready: schemas.Ready{NewerThan: schemas.NewerThanLastRun}}
	l.wasRead(l.ready(since, "")) // the first run
	l.ready(since, "the last run has read version 0 of the table, which is the latest (ready.newerThan)")
	commit(1, `{"commitInfo":{}}`)
	l.ready(since, "")
}

// wasRead makes info what the last run of the segment has read.
func (l *looks) wasRead(info schemas.SegmentInfo) {
	l.t.Helper()
	last := l.in.Run
	last.RunID = "r1"
	err := l.Ledger().Publish(l.t.Context(), last, snapshot.NewUpdate("", 0), ledger.Opened{}, ledger.NewHeader(last, l.in.Export, 7, ""))
	if err == nil {
		report := schemas.ExportReport{State: schemas.StateDone, Info: info}
		err = l.Root.WriteJSON(l.t.Context(), path.Join(dataroot.ReportDir(last), dataroot.ReportFile), report)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// wasDivided makes info what the last run has read of which all lists of the segment were done.
func (l *looks) wasDivided(info schemas.SegmentInfo) {
	l.t.Helper()
	if err := l.Root.WriteJSON(l.t.Context(), dataroot.ListsKey(l.in.Run), dividedLists{Lists: []string{"S/A"}, Read: info}); err != nil {
		l.t.Fatal(err)
	}
}

// writeMail writes a Parquet file with the column Mail and no Id, and returns its size.
func writeMail(t *testing.T, name string) int64 {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer build.Release()
	build.Field(0).(*array.StringBuilder).Append("ann@example.com")
	var file bytes.Buffer
	out, err := pqarrow.NewFileWriter(schema, &file, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err == nil {
		err = errors.Join(out.Write(build.NewRecord()), out.Close(), os.MkdirAll(filepath.Dir(name), 0o755))
	}
	if err == nil {
		err = os.WriteFile(name, file.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return int64(file.Len())
}

// TestAnUnreadableFileMayNotBeComplete has a file that a slow copy has not finished: it is waited
// for until nothing has changed for long, and is then reported as unreadable.
func TestAnUnreadableFileMayNotBeComplete(t *testing.T) {
	l := newLooks(t)
	whole, err := os.ReadFile(filepath.Join(l.folder, "people.arrow"))
	if err != nil {
		t.Fatal(err)
	}
	part := func(size int, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(l.folder, "people.arrow"), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		l.dated("people.arrow", age)
	}
	settle := schemas.Wanted{Settle: schemas.Duration(2 * time.Minute)}
	part(len(whole)/2, 3*time.Minute)
	info := l.ready(settle, `"people.arrow" was written at 2036-01-31 23:27:00 UTC, so a copy may not be complete`)
	if at := l.now.Add(7 * time.Minute); !info.Unready.SettledAt.Equal(at) || info.Unready.Listing == "" {
		t.Errorf("%+v, want settled at %s", info.Unready, at)
	}
	_, err = l.look(&schemas.Wanted{}) // a person says that it is complete
	isOfType(t, err, schemas.ErrorSegmentUnreadable)
	part(len(whole), 3*time.Minute)
	l.ready(settle, "")
	part(len(whole)/2, 11*time.Minute)
	settle.Began = l.now
	_, err = l.look(&settle)
	isOfType(t, err, schemas.ErrorSegmentUnreadable)
}

// TestAnUnreadableFileThatNoWaitHelps: a newer marker, a file from the future that has long been
// the same, a file that the worker may not read, and an encrypted one.
func TestAnUnreadableFileThatNoWaitHelps(t *testing.T) {
	l := newLooks(t)
	broken := func(content string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(l.folder, "people.arrow"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		l.dated("people.arrow", age)
	}
	unreadable := func(want schemas.Wanted) {
		t.Helper()
		want.Began = l.now
		info, err := l.look(&want)
		if isOfType(t, err, schemas.ErrorSegmentUnreadable); info.Unready != nil {
			t.Errorf("%+v", info.Unready)
		}
	}
	settle := schemas.Wanted{Settle: schemas.Duration(2 * time.Minute)}
	broken("neither", 3*time.Minute)
	if info := l.ready(settle, "a file can't be read"); !info.Unready.Unreadable {
		t.Errorf("%+v", info.Unready)
	}
	marked := settle
	marked.Ready.Marker = "_SUCCESS"
	l.dated("_SUCCESS", time.Minute)
	unreadable(marked)

	broken("neither", -48*time.Hour)
	quiet := settle
	quiet.Quiet = unreadableFactor * settle.Settle
	quiet.Listing = l.ready(settle, "2036-02-02").Unready.Listing
	unreadable(quiet)

	broken("PAR1 and so on PARE", 3*time.Minute)
	unreadable(settle)
	broken("neither", 3*time.Minute)
	if os.Getuid() == 0 {
		return // who may read everything
	}
	if err := os.Chmod(filepath.Join(l.folder, "people.arrow"), 0); err != nil {
		t.Fatal(err)
	}
	unreadable(settle)
}
