package segment

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// folder makes files, each with its age, and returns the folder.
func folder(t *testing.T, files map[string]time.Duration) string {
	t.Helper()
	dir := t.TempDir()
	now := time.Now()
	for name, age := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func locate(t *testing.T, dir string) (*Located, error) {
	t.Helper()
	return Locate(t.Context(), dir, Search{Version: Latest}, func(o storage.Object) (storage.Object, error) { return o, nil })
}

func located(l *Located) string {
	var names []string
	for _, o := range l.objects {
		names = append(names, o.Name)
	}
	return strings.Join(names, " ")
}

func TestLeftovers(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		files map[string]time.Duration
		want  string
	}{
		"a smaller export wrote over the first parts": {map[string]time.Duration{
			"part-0.parquet": time.Minute, "part-1.parquet": 2 * time.Minute, "part-2.parquet": 0, "part-3.parquet": day, "part-10.parquet": day, "part-11.parquet": day + time.Minute,
		}, "3 of 6 files are a day older than the newest"},
		"Snowflake's names": {map[string]time.Duration{
			"data_0_0_0.snappy.parquet": 0, "data_0_1_0.snappy.parquet": 3 * day,
		}, "1 of 2 files is 3 days older than the newest"},
		"in one partition of two": {map[string]time.Duration{
			"c=NO/part-0.parquet": 0, "c=NO/part-1.parquet": 5 * time.Hour, "c=SE/part-0.parquet": 0, "c=SE/part-1.parquet": time.Second,
		}, "1 of 4 files is 5 hours older than the newest"},
		"a file is added every day": {map[string]time.Duration{
			"2026-01-01.parquet": 2 * day, "2026-01-02.parquet": day, "2026-01-03.parquet": 0,
		}, ""},
		"partitions of different days": {map[string]time.Duration{
			"d=1/part-0.parquet": 0, "d=2/part-0.parquet": day, "d=3/part-0.parquet": 2 * day,
		}, ""},
		"files of other kinds":            {map[string]time.Duration{"a.parquet": 0, "b.parquet": day, "part-1.parquet": day}, ""},
		"a slow export":                   {map[string]time.Duration{"part-0.parquet": 0, "part-1.parquet": 5 * time.Hour, "part-2.parquet": 6 * time.Hour, "part-3.parquet": 20 * time.Minute}, ""},
		"one file":                        {map[string]time.Duration{"part-0.parquet": day}, ""},
		"the last part was written first": {map[string]time.Duration{"part-0.parquet": 0, "part-1.parquet": 50 * time.Minute}, ""},
		"Spark appends": {map[string]time.Duration{
			"part-00000-aaaa-c000.snappy.parquet": day, "part-00001-aaaa-c000.snappy.parquet": day, "part-00000-bbbb-c000.snappy.parquet": 0,
		}, ""},
	} {
		l, err := locate(t, folder(t, c.files))
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Leftovers(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func changes(t *testing.T, added, removed []string) string {
	t.Helper()
	data, err := json.Marshal(map[string][]string{"added": added, "removed": removed})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestOnlyCommittedFilesCount goes through what the notes of Databricks' commit protocol
// say.
func TestOnlyCommittedFilesCount(t *testing.T) {
	const (
		f1 = "part-00000-tid-11-x-0-c000.snappy.parquet"
		f2 = "part-00001-tid-11-x-1-c000.snappy.parquet"
		g1 = "part-00000-tid-22-y-0-c000.snappy.parquet"
		h  = "by-hand.parquet"
	)
	for name, c := range map[string]struct {
		files   map[string]time.Duration
		content map[string]string
		want    string
		writing string
		warning string
		fails   string
	}{
		"no notes":           {files: map[string]time.Duration{f1: 0, g1: 0}, want: f1 + " " + g1},
		"started":            {files: map[string]time.Duration{"_started_11": 0, f1: 0, h: 0}, want: h, writing: "_started_11"},
		"only started":       {files: map[string]time.Duration{"_started_11": 0, f1: 0}, writing: "_started_11"},
		"in a partition":     {files: map[string]time.Duration{"d=1/_started_11": 0, "d=1/" + f1: 0, "d=2/" + f2: 0}, want: "d=2/" + f2, writing: "d=1/_started_11"},
		"committed":          {files: map[string]time.Duration{"_started_11": 0, "_committed_11": 0, f1: 0, f2: 0}, content: map[string]string{"_committed_11": changes(t, []string{f1}, nil)}, want: f1},
		"removed":            {files: map[string]time.Duration{"_committed_22": 0, f1: 0, g1: 0, h: 0}, content: map[string]string{"_committed_22": changes(t, []string{g1}, []string{f1, h})}, want: g1},
		"not yet written":    {files: map[string]time.Duration{"_started_11": 0, "_committed_11": 0, f1: 0, h: 0}, content: map[string]string{"_committed_11": ""}, want: h, writing: "_started_11"},
		"failed, then again": {files: map[string]time.Duration{"_started_11": time.Hour, f1: time.Hour, "_started_22": time.Minute, "_committed_22": 0, g1: 0}, content: map[string]string{"_committed_22": changes(t, []string{g1}, nil)}, want: g1, warning: "1 files of a Databricks job that has not committed (_started_11)"},
		"another one since":  {files: map[string]time.Duration{"_started_11": 0, f1: 0, "_committed_22": time.Hour, g1: time.Hour}, content: map[string]string{"_committed_22": changes(t, []string{g1}, nil)}, want: g1, writing: "_started_11"},
		"vacuumed":           {files: map[string]time.Duration{"_committed_vacuum99": 0, f1: 0}, content: map[string]string{"_committed_vacuum99": changes(t, nil, []string{"_committed_11"})}, want: f1},
		"not JSON":           {files: map[string]time.Duration{"_committed_11": 0, f1: 0}, content: map[string]string{"_committed_11": "ä"}, fails: "as JSON"},
		"Hadoop":             {files: map[string]time.Duration{"_temporary/0/_temporary/attempt_1/part-0.parquet": 0, h: 0}, want: h, writing: "_temporary/0"},
		"only Hadoop":        {files: map[string]time.Duration{"_temporary/0/_temporary/attempt_1/part-0.parquet": 0}, writing: "_temporary/0"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, c.files)
			for file, text := range c.content {
				path := filepath.Join(dir, file)
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
					t.Fatal(err)
				}
			}
			l, err := locate(t, dir)
			var bad *Error
			switch {
			case c.fails != "":
				if !errors.As(err, &bad) || bad.Type != schemas.ErrorSegmentUnreadable || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v", err)
				}
				return
			case c.want == "" && !errors.Is(err, fs.ErrNotExist), c.want != "" && err != nil:
				t.Fatal(err)
			}
			if got := located(l); got != c.want {
				t.Errorf("files %q, want %q", got, c.want)
			}
			if signs := strings.Join(l.Writing(), "; "); (c.writing == "") != (signs == "") || !strings.Contains(signs, c.writing) {
				t.Errorf("signs %q, want %q", signs, c.writing)
			}
			if w := strings.Join(l.warnings, "; "); (c.warning == "") != (w == "") || !strings.Contains(w, c.warning) {
				t.Errorf("warnings %q, want %q", w, c.warning)
			}
		})
	}
}

// TestNotesLieWhereTheSourceMay checks that a note is read only where the connection allows.
func TestNotesLieWhereTheSourceMay(t *testing.T) {
	dir := folder(t, map[string]time.Duration{"_committed_11": 0, "a.parquet": 0})
	refused := errors.New("not allowed")
	_, err := Locate(t.Context(), dir, Search{Version: Latest}, func(o storage.Object) (storage.Object, error) {
		if o.Name == "_committed_11" {
			return o, refused
		}
		return o, nil
	})
	if !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
}
