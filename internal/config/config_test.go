package config

import (
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"iterable-segment-export/schemas"
)

var update = flag.Bool("update", false, "write the problems found into the golden files")

// TestProblems reads each file of an archive and compares what is wrong with it
// with the section that follows.
func TestProblems(t *testing.T) {
	for name, load := range map[string]func(data []byte) error{
		"connections": func(data []byte) error { _, err := parseConnections("connections.yaml", data); return err },
		"exports":     func(data []byte) error { _, err := parseExports("exports.yaml", data); return err },
	} {
		golden := filepath.Join("testdata", name+".txtar")
		archive, err := txtar.ParseFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(archive.Files); i += 2 {
			file, want := archive.Files[i], &archive.Files[i+1]
			t.Run(name+"/"+file.Name, func(t *testing.T) {
				err := load(file.Data)
				var invalid *FileError
				if !errors.As(err, &invalid) {
					t.Fatalf("got %v, want a FileError", err)
				}
				got := err.Error() + "\n"
				for _, secret := range []string{"0123456789abcdef", "abcdef0123456789", "hunter-2", "secret"} {
					if strings.Contains(got, secret) {
						t.Errorf("a message repeats what may be a key: %s", got)
					}
				}
				if *update {
					want.Data = []byte(got)
				} else if got != string(want.Data) {
					t.Errorf("got\n%s\nwant\n%s", got, want.Data)
				}
			})
		}
		if *update {
			if err := os.WriteFile(golden, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestExamples(t *testing.T) {
	store, err := OpenConnections("../../examples/connections.yaml", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := store.Get("sandbox")
	if err != nil || len(store.Names()) != 1 || sandbox.Consent == nil || sandbox.Consent.AcceptedAt.IsZero() {
		t.Errorf("connections %q: %+v, %v", store.Names(), sandbox, err)
	}
	if want := []string{filepath.Join(folder, "segments"), filepath.Join(filepath.Dir(folder), ".data")}; !reflect.DeepEqual(sandbox.AllowedSources, want) {
		t.Errorf("allowed sources %q, want %q", sandbox.AllowedSources, want)
	}
	e, err := LoadExports("../../examples/exports.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Exports) != 2 || !reflect.DeepEqual(e.Exports[0].Fields.List[3], schemas.Field{Column: "LifetimeValue", As: "ltv"}) {
		t.Errorf("exports: %+v", e)
	}
	if got, want := e.Exports[0].Segments[0].Source, filepath.Join(folder, "segments/high-value/*.parquet"); got != want {
		t.Errorf("source %q, want %q", got, want)
	}
}

// TestFilesOfWindows reads the examples as Windows editors save them: with a byte order mark, and
// with carriage returns.
func TestFilesOfWindows(t *testing.T) {
	for name, load := range map[string]func(data []byte) (any, error){
		"connections": func(data []byte) (any, error) { return parseConnections("x.yaml", data) },
		"exports":     func(data []byte) (any, error) { return parseExports("x.yaml", data) },
	} {
		data, err := os.ReadFile(filepath.Join("../../examples", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := load(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := load([]byte("\uFEFF" + strings.ReplaceAll(string(data), "\n", "\r\n")))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\n%+v", name, err, got, want)
		}
	}
}

// TestTheMarketingExamples has each way to choose who is sent.
func TestTheMarketingExamples(t *testing.T) {
	store, err := OpenConnections("../../examples/marketing/connections.yaml", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e, err := LoadExports("../../examples/marketing/exports.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := store.Get("sandbox")
	has := map[string]bool{"suppress": err == nil && len(sandbox.Suppress) > 0}
	for _, e := range e.Exports {
		has["dedupe"] = has["dedupe"] || e.Dedupe.Keep != ""
		has["record"] = has["record"] || e.Record != ""
		for _, f := range e.Fields.List {
			has["transform"] = has["transform"] || len(f.Transform) > 0
			has["constant"] = has["constant"] || f.Value != ""
			has["default"] = has["default"] || f.Default != ""
			has["nulls"] = has["nulls"] || f.Nulls != ""
		}
		for _, s := range e.Segments {
			has["where"] = has["where"] || s.Where != nil
			has["split"] = has["split"] || s.Split != nil
			has["forEach"] = has["forEach"] || s.ForEach != ""
		}
	}
	for what, is := range has {
		if !is {
			t.Errorf("examples/marketing has no %s", what)
		}
	}
}

func TestEverySetting(t *testing.T) {
	const text = `
refresh: &nightly {cron: "0 4 * * 1-5", timeZone: Europe/Oslo, jitter: 10m, catchUp: 10s}
exports:
  - name: a
    connection: c
    email: contact.email
    userID: Id
    fields: all
    schedule: {cron: "@every 6h/30m", catchUp: 2h}
    mode: append
    mergeNestedObjects: true
    preferUserId: true
    updateExistingUsersOnly: true
    nulls: send
    allowUnknownTLD: true
    deadline: 1h30m
    fullEvery: 168h
    guardrails: {maxRemovedShare: 0, allowEmpty: true, maxRejectedShare: 0.5, maxGrowth: 3, maxShrink: 4}
    segments:
      - {name: s, source: "s3://bucket/a/*.parquet", listId: 7}
      - {name: t, source: /data/t}
  - {name: b, connection: c, email: e, schedule: off, segments: [{name: u, source: "file:///x"}]}
  - {name: d, connection: c, email: e, schedule: *nightly, segments: [{name: v, source: x}]}
  - {name: e, connection: c, email: e, schedule: refresh, segments: [{name: w, source: x}]}
`
	got, err := parseExports("/etc/exports.yaml", []byte("\uFEFF"+text)) // as Windows' editors save it
	if err != nil {
		t.Fatal(err)
	}
	zero, half := 0.0, 0.5
	nightly := schemas.Timing{Cron: schemas.OneOrMore{"0 4 * * 1-5"}, TimeZone: "Europe/Oslo", Jitter: schemas.Duration(600e9), CatchUp: schemas.Duration(10e9)}
	want := schemas.Export{
		Name: "a", Connection: "c", Email: "contact.email", UserID: "Id", Fields: schemas.Fields{All: true},
		Schedule: schemas.Schedule{Own: &schemas.Timing{Cron: schemas.OneOrMore{"@every 6h/30m"}, CatchUp: schemas.Duration(7200e9)}},
		Segments: []schemas.Segment{{Name: "s", Source: "s3://bucket/a/*.parquet", ListID: 7}, {Name: "t", Source: "/data/t"}},
		Settings: schemas.Settings{
			Mode: "append", MergeNestedObjects: true, PreferUserID: true, UpdateExistingUsersOnly: true, Nulls: "send", AllowUnknownTLD: true,
			Deadline: schemas.Duration(5400e9), FullEvery: schemas.Duration(168 * 3600e9),
			Guardrails: schemas.Guardrails{MaxRemovedShare: &zero, AllowEmpty: true, MaxRejectedShare: &half, MaxGrowth: 3, MaxShrink: 4},
		},
	}
	if !reflect.DeepEqual(got.Exports[0], want) {
		t.Errorf("got %+v\nwant %+v", got.Exports[0], want)
	}
	for i, want := range []struct {
		timing schemas.Timing
		active bool
	}{{*want.Schedule.Own, true}, {schemas.Timing{}, false}, {nightly, true}, {nightly, true}} {
		if timing, active := got.Timing(got.Exports[i]); !reflect.DeepEqual(timing, want.timing) || active != want.active {
			t.Errorf("export %d: timing %v %v, want %v %v", i, timing, active, want.timing, want.active)
		}
	}
	if source := got.Exports[3].Segments[0].Source; source != "/etc/x" {
		t.Errorf("relative source became %q", source)
	}
}

// TestHostileFiles holds files that would take a naive reader's time or memory.
func TestHostileFiles(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := '1'; i <= '8'; i++ {
		ref := "*a" + string(i-1) + " "
		laughs.WriteString("a" + string(i) + ": &a" + string(i) + " [" + strings.Repeat(ref+", ", 9) + ref + "]\n")
	}
	for name, text := range map[string]string{
		"brackets":     strings.Repeat("[", 500_000),
		"braces":       strings.Repeat("{a: ", 200_000),
		"dashes":       strings.Repeat("- ", 400_000),
		"questions":    strings.Repeat("? ", 400_000),
		"laughs":       laughs.String(),
		"self":         "exports: &a [*a]\n",
		"large":        strings.Repeat("#", maxFile+1),
		"not text":     "exports: \xff\xfe",
		"huge numbers": "exports: 1e99999\n",
		"long word":    "exports: []\n" + strings.Repeat("x", 100_000) + ": 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseExports("exports.yaml", []byte(text))
			if err == nil {
				t.Fatal("no error")
			}
			if n := len(err.Error()); n > 20_000 {
				t.Errorf("a message of %d bytes", n)
			}
		})
	}
}

func FuzzExports(f *testing.F) { fuzz(f, "exports") }

func FuzzConnections(f *testing.F) { fuzz(f, "connections") }

func fuzz(f *testing.F, name string) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(archive.Files); i += 2 {
		f.Add(archive.Files[i].Data)
	}
	example, err := os.ReadFile("../../examples/" + name + ".yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Fuzz(func(t *testing.T, data []byte) {
		var err error
		if name == "exports" {
			_, err = parseExports("exports.yaml", data)
		} else {
			_, err = parseConnections("connections.yaml", data)
		}
		var invalid *FileError
		if err != nil && !errors.As(err, &invalid) {
			t.Errorf("got %v, want a FileError", err)
		}
	})
}
