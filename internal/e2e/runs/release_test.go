package runs

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// releases holds what each release leaves, by its version: the data root, the sandbox that its runs
// have filled, and Temporal's database.
const releases = "testdata/releases"

// releaseWorld is a world in a folder that has been recorded, or will be. Runs need a grant, and
// those of some profiles are suppressed.
func releaseWorld(t *testing.T, dir string, suppressed ...string) *world.World {
	t.Helper()
	s, err := sandbox.Open(sandbox.Config{DataDir: filepath.Join(dir, "sandbox"), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world.World{T: t, Dir: dir, Sandbox: s, Secrets: []string{accesstest.Secret}}
	w.Sources, w.DataRoot = w.Path("segments"), w.Path("data")
	w.Until("the sandbox's port is free", func() bool { // runs are bound to their host; another test may use it
		l, err := net.Listen("tcp", "127.0.0.1:18234")
		if err == nil {
			w.URL = w.ServeOn(s, l)
		}
		return err == nil
	})
	w.StartTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0", DataDir: w.Path("temporal")})
	w.People("Never", 900, 900, 1, suppressed...)
	w.Others = w.Connection("plain", w.URL, "{}") // without a suppression list
	w.WriteConnections("{}")
	rewrite(w, w.Path("connections.yaml"), func(text []byte) []byte {
		return bytes.Replace(text, []byte("    consent:"), []byte("    suppress: [{name: Never, source: segments/Never, email: email}]\n    consent:"), 1)
	})
	w.OpenRoot()
	w.StartHost()
	if w.Operator.Gate, err = access.New(w.Root, w.Secrets); err != nil {
		t.Fatal(err)
	}
	return w
}

// divided is an export with a list for each country.
func divided(w *world.World, countries ...string) schemas.Export {
	e := w.Of("Each")
	e.Segments = []schemas.Segment{{Name: "Each {country}", Source: customers(w, countries...), ForEach: "country"}}
	return e
}

// waiting is an export over the connection without a suppression list: a run that has waited looks
// at the lists again, and starts over if they are elsewhere.
func waiting(w *world.World) schemas.Export {
	e := w.Of("Waiting")
	e.Connection = "plain"
	return e
}

// TestRecordRelease records what this version leaves, as RECORD_RELEASE=0.1 names it: a list with
// members, rejects, and a run that was aborted; lists of a divided segment, from one of which a
// member was suppressed; and a run that waits with staged files.
func TestRecordRelease(t *testing.T) {
	version := os.Getenv("RECORD_RELEASE")
	if version == "" {
		t.Skip("RECORD_RELEASE names no version")
	}
	dir := filepath.Join(releases, version)
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("%s was recorded already; a release is recorded once", version)
	}
	place := filepath.Join(os.TempDir(), "iterable-segment-export-"+version) // the files name it
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(place) })
	w := releaseWorld(t, place)
	e := w.Of("Kept")
	w.People("Kept", 1, 9, 1, world.Invalid(1)...)
	w.Done(w.Run(e))
	w.People("Kept", 2, 10, 1, world.Invalid(1)...)
	w.Done(w.Run(e))
	w.People("Kept", 9, 10, 1)
	v := w.Run(e) // too many would be removed
	w.WaitsWith(v, schemas.ErrorGuardrail)
	w.Answer(v, schemas.UpdateAbort)

	each := divided(w, "NO 101 105", "SE 106 108")
	w.Done(w.Run(each))
	w.People("Never", 900, 900, 1, world.Person(101))
	w.Done(w.Run(each))

	w.People("Waiting", 1, 10, 1)
	w.Done(w.Run(waiting(w)))
	w.People("Waiting", 7, 12, 1)
	w.WaitsWith(w.Run(waiting(w)), schemas.ErrorGuardrail)

	w.Host.Stop()
	if err := w.Stack.Stop(); err != nil {
		t.Fatal(err)
	}
	for name := range contents(t, w.DataRoot) {
		if strings.HasSuffix(name, ".html") || strings.Contains(filepath.ToSlash(name), "/turns/") { // large, or past; read by nothing
			_ = os.Remove(name)
		}
	}
	for _, part := range []string{"data", "sandbox"} {
		copyFolder(t, w.Path(part), filepath.Join(dir, part))
	}
	keepDatabase(t, w, filepath.Join(dir, database))
}

// database is the name of Temporal's database, which is compressed in a recorded release.
const database = "temporal.db.gz"

// keepDatabase keeps Temporal's database. In the names of workers this machine's becomes another of
// the same length, since the file is binary.
func keepDatabase(t *testing.T, w *world.World, to string) {
	t.Helper()
	file := w.Path("temporal/temporal.db")
	db, err := sql.Open("sqlite", file) // the driver of Temporal's server
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)") // the newest pages are in another file
	data, noFile := os.ReadFile(file)
	host, noHost := os.Hostname()
	if err := errors.Join(err, db.Close(), noFile, noHost); err != nil {
		t.Fatal(err)
	}
	identity := regexp.MustCompile(`@` + regexp.QuoteMeta(host) + `\b|` + regexp.QuoteMeta(host) + `:[0-9a-f-]{36}`)
	data = identity.ReplaceAllFunc(data, func(name []byte) []byte {
		return bytes.Replace(name, []byte(host), bytes.Repeat([]byte("w"), len(host)), 1)
	})
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	_, err = zipped.Write(data)
	if err = errors.Join(err, zipped.Close()); err == nil {
		err = os.WriteFile(to, out.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// restoreRelease copies a recorded release to a new folder.
func restoreRelease(t *testing.T, version string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	copyFolder(t, filepath.Join(releases, version), dir)
	file, err := os.Open(filepath.Join(dir, database))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(zipped)
	to := filepath.Join(dir, "temporal")
	if err := errors.Join(err, os.Mkdir(to, 0o700), os.WriteFile(filepath.Join(to, "temporal.db"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents are the files below a folder, by path.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all[name], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDataRootsOfReleases goes on where each release has stopped: the next run of an export sends
// what has changed and no more, the old reports and rejects can be read, and the run that waits is
// answered and sends what the release has staged.
func TestDataRootsOfReleases(t *testing.T) {
	t.Parallel()
	versions, err := os.ReadDir(releases)
	if err != nil || len(versions) == 0 {
		t.Fatal("no release is recorded", err)
	}
	for _, version := range versions {
		t.Run(version.Name(), func(t *testing.T) { // one at a time: they share a port
			w := releaseWorld(t, restoreRelease(t, version.Name()), world.Person(101))
			reports := oldReports(t, w)
			if states := []string{reports[0].State, reports[1].State, reports[2].State}; !slices.Equal(states, []string{"done", "done", "aborted"}) {
				t.Fatalf("the reports say %q", states)
			}
			if m := reports[0].Manifest; m.Adds != 9 || reports[0].Upload.Sent != 9 || len(w.ReadRejects(reports[0])) != 1 {
				t.Errorf("the first report has %+v", m)
			}
			w.People("Kept", 3, 11, 1)
			r := w.Done(w.Run(w.Of("Kept")))
			if m := r.Manifest; m.Adds != 1 || m.Removals != 1 || m.Unchanged != 8 || m.SentAgain != "" {
				t.Errorf("the next run adds %d, removes %d, leaves %d: %s %q", m.Adds, m.Removals, m.Unchanged, m.SentAgain, r.Warnings)
			}
			if have := w.Members("Kept"); !slices.Equal(have, world.Persons(3, 11)) {
				t.Errorf("the list has %v", have)
			}

			v := w.Run(divided(w, "NO 101 105", "SE 106 109"))
			if w.Done(v); listed(w, v) != "Each NO done +0 -0, Each SE done +1 -0" {
				t.Errorf("of the divided segment it sends %s", listed(w, v))
			}
			if have := w.Members("Each NO"); !slices.Equal(have, world.Persons(102, 105)) {
				t.Errorf("the list without the suppressed member has %v", have)
			}

			v, ok := w.Last("Waiting")
			if !ok {
				t.Fatal("the run that waited is gone")
			}
			w.WaitsWith(v, schemas.ErrorGuardrail)
			if r := w.Done(w.Answer(v, schemas.UpdateApprove)); r.Upload.Sent != 2 || r.Upload.Removed != 6 || r.StartedOver != 0 {
				t.Errorf("the run that waited sends %d, removes %d and starts over %d times", r.Upload.Sent, r.Upload.Removed, r.StartedOver)
			}
			if have := w.Members("Waiting"); !slices.Equal(have, world.Persons(7, 12)) {
				t.Errorf("the list of the run that waited has %v", have)
			}
		})
	}
}

// oldReports are the reports of an export that the release has run three times, the oldest first.
func oldReports(t *testing.T, w *world.World) (all []schemas.ExportReport) {
	t.Helper()
	for name, data := range contents(t, w.DataRoot) {
		if filepath.Base(name) != dataroot.ReportFile {
			continue
		}
		var r schemas.ExportReport
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Export == "Kept" {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b schemas.ExportReport) int { return a.StartedAt.Compare(b.StartedAt) })
	if len(all) != 3 {
		t.Fatalf("there are %d reports", len(all))
	}
	return all
}
