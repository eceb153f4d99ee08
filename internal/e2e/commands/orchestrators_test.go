package commands

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// orchestrated is a world with the export of docs/triggers.md and the page's examples.
type orchestrated struct {
	world.Guarded
	dbt      string                   // the path of a program that succeeds, unless a test writes another
	examples map[string]func() string // by the orchestrator; each returns what it prints
}

// newOrchestrated reads the examples. Their commands find the starter, a dbt and a token.
func newOrchestrated(t *testing.T) orchestrated {
	t.Helper()
	o := orchestrated{Guarded: world.NewGuardedOver(t, sandbox.Config{Fast: true})} // the lag of new lists is not the point
	bin := t.TempDir()
	o.dbt = filepath.Join(bin, "dbt")
	if err := os.Symlink(o.Starter().Bin, filepath.Join(bin, "starter")); err != nil {
		t.Fatal(err)
	}
	o.write(o.dbt, "#!/bin/sh\n")
	token := o.Path("token")
	o.write(token, o.Provider.Token("the contributor", schemas.RoleContributor))
	env := append(os.Environ(), world.ShortLived, "PATH="+bin+":"+os.Getenv("PATH"), "EXPORT_API="+o.API, "EXPORT_TOKEN_FILE="+token)

	page, err := os.ReadFile(filepath.Join(repository, "docs", "triggers.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("https://exports.example.com", o.API, "/run/secrets/export-token", token).Replace(string(page))
	o.examples = map[string]func() string{}
	for _, heading := range []string{"Airflow", "Dagster", "dbt"} {
		found := regexp.MustCompile("(?s)\n## " + heading + "\n.*?```(\\w+)\n(.*?)```").FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("the page has no example for %s", heading)
		}
		o.examples[heading] = func() string {
			cmd := exec.Command("bash", "-c", found[2])
			if found[1] == "python" {
				cmd = exec.Command("python3", filepath.Join("testdata", "orchestrators", "run.py"))
				cmd.Stdin = strings.NewReader(found[2])
			}
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if err != nil {
				out = append(out, "\n"+err.Error()...)
			}
			return string(out)
		}
	}
	return o
}

// write writes a file that only its owner may read and run.
func (o orchestrated) write(path, text string) {
	o.T.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		o.T.Fatal(err)
	}
}

// want runs all examples, and compares what becomes of their tasks.
func (o orchestrated) want(what string, states map[string]string) {
	o.T.Helper()
	for name, state := range states {
		if out := o.examples[name](); !strings.Contains(out, state) {
			o.T.Errorf("%s: %s has %q, want %q", what, name, out, state)
		}
	}
}

// TestOrchestratorsRunAnExport runs the examples of docs/triggers.md with the starter while the
// data of the export is being written, when it is complete, when it is not ready in time, and
// when the run waits for a person.
func TestOrchestratorsRunAnExport(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	t.Parallel()
	o := newOrchestrated(t)
	contributor := o.As(schemas.RoleContributor)
	const name = "Spring campaign"
	apply := func(change func(*schemas.Export)) {
		t.Helper()
		e := o.Of(name)
		e.Schedule.Off = true
		change(&e)
		if plan, err := contributor.Apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{e}}}); err != nil || plan.Failed > 0 {
			t.Fatalf("%+v, %v", plan, err)
		}
	}
	last := func() operate.View {
		t.Helper()
		v, ok := o.Last(name)
		if !ok {
			t.Fatal("nothing was started")
		}
		return v
	}
	apply(func(*schemas.Export) {})

	// The orchestrator starts the run too early. A retry joins it.
	folder := o.People(name, 1, 10, 1)
	pending := filepath.Join(folder, "_temporary", "0")
	if err := os.MkdirAll(pending, 0o700); err != nil {
		t.Fatal(err)
	}
	outputs := make(chan string)
	for range 2 {
		go func() { outputs <- o.examples["Airflow"]() }()
	}
	o.Until("the run waits for its data", func() bool { v, ok := o.Last(name); return ok && v.State == schemas.StateAwaitingData })
	if sent := o.Requests("lists/subscribe"); sent > 0 {
		t.Errorf("%d requests before the data was complete", sent)
	}
	if err := os.RemoveAll(filepath.Dir(pending)); err != nil {
		t.Fatal(err)
	}
	both := []string{<-outputs, <-outputs}
	if !slices.ContainsFunc(both, func(out string) bool { return strings.Contains(out, "this joins it") }) ||
		slices.ContainsFunc(both, func(out string) bool { return !strings.Contains(out, "task: success") }) {
		t.Errorf("%q", both)
	}
	if have := o.Members(name); !slices.Equal(have, world.Persons(1, 10)) {
		t.Errorf("the list has %v", have)
	}
	o.want("complete data", map[string]string{"Airflow": "task: success", "Dagster": "task: success", "dbt": "done"})

	apply(func(e *schemas.Export) { e.Ready.WaitFor, e.Ready.Then = schemas.Duration(1e9), schemas.ThenSkip })
	if err := os.MkdirAll(pending, 0o700); err != nil {
		t.Fatal(err)
	}
	o.want("not ready in time", map[string]string{"Airflow": "task: skipped", "Dagster": "task: success\nthe data was not ready in time", "dbt": "exit status 5"})
	if err := os.RemoveAll(filepath.Dir(pending)); err != nil {
		t.Fatal(err)
	}

	before := last()
	o.write(o.dbt, "#!/bin/sh\nexit 2\n")
	o.want("dbt fails", map[string]string{"dbt": "exit status 2"})
	if v := last(); v.Run != before.Run {
		t.Errorf("a run was started although dbt failed: %+v", v)
	}
	o.write(o.dbt, "#!/bin/sh\n")
	o.People(name, 1, 0, 1) // all leave
	o.want("it waits for a person", map[string]string{"Airflow": "task: failed", "Dagster": "task: failed", "dbt": "exit status 3"})
	o.Answer(last(), schemas.UpdateAbort)
}
