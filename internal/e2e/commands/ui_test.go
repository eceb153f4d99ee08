package commands

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

//go:embed ui/package.json
var uiManifest []byte

//go:embed ui/package-lock.json
var uiLock []byte

//go:embed ui/look.mjs
var uiLook []byte

// shotsEnv names a folder for pictures of the pages.
const shotsEnv = "E2E_SHOTS"

// metadata is the tab of a run's page that has its summary and details.
const metadata = "User Metadata"

// page is one page of Temporal's UI, and what has to be seen on it.
type page struct {
	URL   string   `json:"url"`
	Click string   `json:"click,omitempty"`
	Texts []string `json:"texts"`
	Shot  string   `json:"shot,omitempty"`
}

// TestWhatOperatorsSee opens a running, a waiting and a finished run in the UI, in a
// browser, the list of runs as the starter links to it, and the overview of all exports.
//
// It is not parallel: a browser is slow beside eight other tests.
func TestWhatOperatorsSee(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed")
	}
	dir, err := emulators.NPM("e2e-ui", uiManifest, uiLock)
	if err != nil {
		t.Skip("no browser driver: ", err)
	}
	w := world.New(t, sandbox.Config{Rate: 2}, false)
	w.StartTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0", UIAddr: "127.0.0.1:0"})
	w.WriteConnections("{requestsPerSecond: 2, subscribersPerRequest: 10}")
	w.StartHost()

	w.People("Finished", 1, 30, 1, world.Invalid(2)...)
	finished := w.Run(w.Of("Finished"))
	list := w.Done(finished).ListID
	w.People("Finished", 1, 31, 1)
	again := w.Run(w.Of("Finished")) // whose list is known from the beginning
	w.Done(again)
	w.People("Waiting", 1, 0, 1)
	waiting := w.Run(w.Of("Waiting"))
	w.WaitsWith(waiting, schemas.ErrorGuardrail)
	w.People("Running", 1, 3000, 1) // 300 requests: two and a half minutes
	running := w.Start(w.Of("Running"))
	var view operate.View
	w.Until("the first chunk is sent", func() bool {
		view, err = w.Operator.Look(t.Context(), running)
		return err == nil && len(view.Segments) == 1 && w.Requests("lists/subscribe") > 6
	})

	base := w.Stack.UIURL() + "/namespaces/default/workflows"
	segment := func(export string) string {
		return base + "/" + url.PathEscape(schemas.SegmentWorkflowID(export, export))
	}
	seen := look(t, chromium, dir, []page{
		{URL: segment("Finished"), Texts: []string{"CommitSnapshot", "Find list \"Finished\"", "add: batches 0–0 of 1: 1 profiles"}},
		{URL: segment("Finished"), Click: metadata, Texts: []string{
			fmt.Sprintf("Export “Finished” → Iterable list %d", list), fmt.Sprintf("Segment “Finished” → Iterable list %d: done", list),
			"profiles read 31", "sent 1", "requests 1",
		}},
		{URL: segment("Waiting"), Click: metadata, Texts: []string{
			"Export “Waiting” → a new Iterable list", "Waiting at", "no profile that can be sent", `starter approve "Waiting" --wait `, `starter abort "Waiting" --wait `,
		}},
		{URL: segment("Running"), Click: metadata, Texts: []string{
			"Segment “Running” → Iterable list", "running", "left", "pace, requests per second", "sent by about",
		}},
		{URL: base + "/" + url.PathEscape(schemas.RunWorkflowID("Running")), Click: metadata, Texts: []string{"Export “Running” over connection “sandbox”", "started by tester: running"}},
		{URL: base + "?query=" + url.QueryEscape("ExportState = 'waiting'"), Texts: []string{"export/Waiting"}},
		{URL: "file://" + filepath.Join(w.DataRoot, filepath.FromSlash(dataroot.OverviewKey)), Texts: []string{
			"Finished done, over connection “sandbox”", "started by tester", "2 runs since", "30 to 31", "+1", "no_tld",
		}},
	})
	if waiting := seen[len(seen)-2]; strings.Contains(waiting, "export/Finished") {
		t.Errorf("the list of waiting runs has one that is done: %s", waiting)
	}
	if err := w.Operator.Cancel(t.Context(), running); err != nil {
		t.Fatal(err)
	}
	w.Watch(running)
}

// look opens pages and gives what is seen on each.
func look(t *testing.T, chromium, dir string, pages []page) (seen []string) {
	t.Helper()
	program := filepath.Join(dir, "look.mjs")
	if err := os.WriteFile(program, uiLook, 0o600); err != nil {
		t.Fatal(err)
	}
	if shots := os.Getenv(shotsEnv); shots != "" {
		for i := range pages {
			pages[i].Shot = filepath.Join(shots, fmt.Sprintf("page-%d.png", i))
		}
	}
	arg, err := json.Marshal(pages)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", program, chromium, string(arg))
	cmd.WaitDelay = 5 * time.Second
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut.String())
	}
	var found []struct {
		URL, Text string
		Missing   []string
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range found {
		if len(f.Missing) > 0 {
			t.Errorf("%s lacks %q; it says: %s", f.URL, f.Missing, f.Text)
		}
		seen = append(seen, f.Text)
	}
	return seen
}
