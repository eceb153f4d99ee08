package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// options are those of a run on the examples, on free ports.
func options(t *testing.T) serveOptions {
	t.Helper()
	o := serveOptions{
		exit: true, exports: "../../../examples/exports.yaml", connections: "../../../examples/connections.yaml",
		sandbox:      sandboxOptions{fast: true},
		temporalPort: freePort(t), uiPort: freePort(t), sandboxPort: freePort(t),
	}
	return o
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestTheExamplesGetThrough(t *testing.T) {
	o := options(t)
	o.data = t.TempDir()
	var out, errOut bytes.Buffer
	if err := serve(t.Context(), o, &out, &errOut); err != nil {
		t.Fatalf("%v\n%s\n%s", err, &out, &errOut)
	}
	for _, want := range []string{"API key sandbox-key", "High-value customers", "Newsletter readers", "/namespaces/default/workflows/", "rejects.parquet", "done"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
	if !strings.Contains(errOut.String(), "Newsletter readers: done") {
		t.Errorf("the progress is:\n%s", &errOut)
	}
	found := false
	for _, path := range strings.Fields(out.String()) {
		if strings.HasSuffix(path, "rejects.parquet") {
			_, err := os.Stat(path)
			found = found || err == nil
		}
	}
	if !found {
		t.Errorf("no rejects file stands where the output says:\n%s", &out)
	}
}

// TestTheMarketingExamplesGetThrough: each chooses who is sent to the sandbox.
func TestTheMarketingExamplesGetThrough(t *testing.T) {
	o := options(t)
	o.exports, o.connections = "../../../examples/marketing/exports.yaml", "../../../examples/marketing/connections.yaml"
	dir := t.TempDir()
	all, err := start(t.Context(), o, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer all.stop()
	exports, err := loadExports(o)
	if err != nil {
		t.Fatal(err)
	}
	views, err := all.runExports(t.Context(), exports, true, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]int64{}
	for _, v := range views {
		for _, s := range v.Segments {
			if s.Report.Divided == nil { // its lists follow
				sent[s.Run.Segment] = s.Report.Upload.Sent
			}
			if s.State != "done" {
				t.Errorf("%q is %s: %s", s.Run.Segment, s.State, s.Report.Error)
			}
		}
	}
	want := map[string]int64{"Offer by country": 9, "Spring/A": 9, "Spring/B": 7, "Customers in United Kingdom": 1, "Customers in United States": 2, "Customers in Sweden": 3, "Customers in Switzerland": 3, "Customers in France": 2, "One row each": 18, "Salutation": 18, "Recorded": 18}
	if !maps.Equal(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
}

// TestWhatDataKeepsIsKnownTheNextTime starts everything twice on one folder.
func TestWhatDataKeepsIsKnownTheNextTime(t *testing.T) {
	dir := t.TempDir()
	var lists [2][]int64
	for i := range lists {
		o := options(t)
		o.data = dir
		all, err := start(t.Context(), o, dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		exports, err := loadExports(o)
		if err != nil {
			t.Fatal(err)
		}
		views, err := all.runExports(t.Context(), exports, true, io.Discard)
		all.stop()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range views {
			r := v.Segments[0].Report
			lists[i] = append(lists[i], r.ListID)
			if first := i == 0; (r.Upload.Requests == 0) == first || (r.Manifest.Unchanged == 0) != first || r.ListSize == 0 {
				t.Errorf("start %d: %+v, %+v, %d on the list", i+1, r.Manifest, r.Upload, r.ListSize)
			}
		}
	}
	if !slices.Equal(lists[0], lists[1]) {
		t.Errorf("the lists were %v, and are %v", lists[0], lists[1])
	}
}

func TestARunThatWaitsIsNotCompleted(t *testing.T) {
	o := options(t)
	dir := t.TempDir()
	o.exports = filepath.Join(dir, "exports.yaml")
	text := "exports:\n  - name: Lost\n    connection: sandbox\n    email: EmailAddress\n    segments:\n      - {name: Lost, source: nowhere.parquet}\n"
	if err := os.WriteFile(o.exports, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if err := serve(t.Context(), o, &out, &errOut); !errors.Is(err, errIncomplete) {
		t.Fatalf("got %v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "waits at InspectSegment") {
		t.Errorf("the output does not say what the run waits for:\n%s", &out)
	}
}

func TestATakenPortNamesItsFlag(t *testing.T) {
	for flag, set := range map[string]func(*serveOptions, int){
		"--sandbox-port":  func(o *serveOptions, port int) { o.sandboxPort = port },
		"--temporal-port": func(o *serveOptions, port int) { o.temporalPort = port },
		"--ui-port":       func(o *serveOptions, port int) { o.uiPort = port },
	} {
		t.Run(flag, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			o := options(t)
			set(&o, l.Addr().(*net.TCPAddr).Port)
			var out, errOut bytes.Buffer
			if err := serve(context.Background(), o, &out, &errOut); err == nil || !strings.Contains(err.Error(), flag) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestTheUIOnAnotherPort: starter finds the UI beside Temporal on the usual port only.
func TestTheUIOnAnotherPort(t *testing.T) {
	for want, o := range map[string]serveOptions{
		"":                                     {temporalPort: 7233, uiPort: 8233},
		" EXPORT_UI_URL=http://127.0.0.1:8233": {temporalPort: 7433, uiPort: 8233},
		" EXPORT_UI_URL=http://127.0.0.1:8433": {temporalPort: 7233, uiPort: 8433},
	} {
		if got := o.ui(fmt.Sprintf("http://127.0.0.1:%d", o.uiPort)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
