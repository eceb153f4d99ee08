package commands

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

const transcripts = "testdata/transcripts"

// TestTranscripts types what the scripts in testdata/transcripts say, side by side
// against one Temporal, one sandbox and one worker, as somebody who reaches Temporal
// itself. TestTranscriptsThroughTheGateway does the same where all that there is is the
// gateway; what differs then has the condition [api]. Each script has a folder of its
// own that the connections may read, with a segment in it, and names its exports
// after itself. Besides testscript's own commands there are:
//
//	exits STATUS ARGS…       calls the starter, which has to end with that status
//	until STATUS TEXT ARGS…  calls it until it ends so and prints what matches TEXT
//	answers STATUS ANSWER RUN ARGS…  answers what the run waits for
//	shows FILE               the output was this; see masked for what is not compared
//
// The connections are: sandbox, shared; spare, for one script to disconnect; unagreed,
// without consent; locked, whose key Iterable does not know.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	typeTranscripts(t, false)
}

func TestTranscriptsThroughTheGateway(t *testing.T) {
	t.Parallel()
	typeTranscripts(t, true)
}

func typeTranscripts(t *testing.T, api bool) {
	// New lists are known at once: the texts show how many requests there were.
	w := world.New(t, sandbox.Config{NewList: -1}, false)
	w.Secrets = []string{accesstest.Secret}
	if err := os.WriteFile(w.Path("wrong-key"), []byte("nobodyknowsthiskey"), 0o600); err != nil {
		t.Fatal(err)
	}
	unagreed, _, _ := strings.Cut(w.Connection("unagreed", w.URL, "{}"), "    consent:")
	locked := strings.Replace(w.Connection("locked", w.URL, "{}"), "{env: "+world.KeyEnv+"}", "{file: "+w.Path("wrong-key")+"}", 1)
	w.Others = w.Connection("spare", w.URL, "{requestsPerSecond: 50}") + w.Connection("other", w.URL, "{}") + unagreed + locked
	w.WriteConnections("{}")
	if err := os.MkdirAll(w.Sources, 0o700); err != nil {
		t.Fatal(err)
	}
	w.StartHost()
	g := world.Guarded{World: w, Provider: accesstest.New(t)}
	if api {
		g.ServeAPI()
	}
	claims := g.Provider.Claims("ann", schemas.RoleAdministrator)
	claims["email"], claims["email_verified"] = "ann@example.com", true
	token := g.Provider.Sign(claims, nil)
	bin := world.Build(t, "starter")
	typed := &typist{bin: bin}
	testscript.Run(t, testscript.Params{
		Dir: transcripts, WorkdirRoot: w.Sources, RequireUniqueNames: true, ContinueOnError: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("EXPORT_UI_URL", "http://127.0.0.1:8233")
			if api {
				e.Setenv("EXPORT_API", g.API)
				e.Setenv("EXPORT_TOKEN", token)
			} else {
				e.Setenv("TEMPORAL_ADDRESS", w.Temporal)
				e.Setenv("DATA_ROOT", w.DataRoot)
				e.Setenv("CONNECTIONS_FILE", w.Path("connections.yaml"))
				e.Setenv("WORKER_SECRET", accesstest.Secret)
				e.Setenv(world.KeyEnv, sandbox.DefaultKey)
			}
			e.Setenv("TZ", "UTC")
			e.Vars = append(e.Vars, world.ShortLived)
			return os.CopyFS(filepath.Join(e.WorkDir, "segments"), os.DirFS(filepath.Join(repository, "examples/segments/high-value")))
		},
		Condition: func(name string) (bool, error) {
			if name != "api" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return api, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": typed.exits, "until": typed.until, "answers": typed.answers, "shows": shows,
		},
	})
}

// typist calls the starter for scripts.
type typist struct{ bin string }

// call gives the exit status.
func (y *typist) call(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(y.bin, args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("starter %s: %v", strings.Join(args, " "), err)
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if text := ts.ReadFile(stream); strings.Contains(text, "goroutine ") || strings.Contains(text, ".go:") {
			ts.Fatalf("it prints a stack:\n%s", text)
		}
		if text := ts.ReadFile(stream); strings.Contains(text, "retryable:") {
			ts.Fatalf("it prints what Temporal's SDK adds to errors:\n%s", text)
		}
	}
	hold(ts, args)
	if err == nil {
		return 0
	}
	return exit.ExitCode()
}

// outputs compiles the schemas of what commands print with -o json and -o yaml.
var outputs = sync.OnceValues(func() (*jsonschema.Compiler, error) {
	c := jsonschema.NewCompiler()
	for name, text := range map[string][]byte{"output.schema.json": schemas.OutputSchema, "exports.schema.json": schemas.ExportsSchema} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		if err := c.AddResource(name, doc); err != nil {
			return nil, err
		}
	}
	return c, nil
})

// hold compares what a command has printed with -o json or -o yaml with its schema. No value may be
// a time or a count that is not known.
func hold(ts *testscript.TestScript, args []string) {
	printed := ts.ReadFile("stdout")
	form := ""
	for i, a := range args[:len(args)-1] {
		if a == "-o" || a == "--format" {
			form = args[i+1]
		}
	}
	if form != "json" && form != "yaml" || strings.TrimSpace(printed) == "" {
		return
	}
	name := args[0]
	if alias := map[string]string{"show": "status", "watch": "status", "start": "run", "trigger": "run", "setup": "doctor"}[name]; alias != "" {
		name = alias
	}
	of := "output.schema.json#/$defs/" + name
	if name == "exports" && form == "yaml" {
		of = "exports.schema.json"
	}
	compiler, err := outputs()
	ts.Check(err)
	held.Lock()
	schema, err := compiler.Compile(of)
	held.Unlock()
	ts.Check(err)
	values, err := decode(form, printed)
	if err != nil {
		ts.Fatalf("%q prints what is not %s: %v", args, form, err)
	}
	for _, v := range values {
		if err := schema.Validate(v); err != nil {
			ts.Fatalf("%q prints what %s does not have: %v", args, of, err)
		}
		if unknown := unknownIn(v); unknown != "" {
			ts.Fatalf("%q prints %s for what is not known", args, unknown)
		}
	}
}

// decode returns the values of a text, as the validator takes them.
func decode(form, text string) (all []any, err error) {
	if form == "yaml" {
		var lines bytes.Buffer
		for d := yaml.NewDecoder(strings.NewReader(text)); ; {
			var v any
			if err := d.Decode(&v); err == io.EOF {
				break
			} else if err != nil {
				return nil, err
			}
			if err := json.NewEncoder(&lines).Encode(v); err != nil {
				return nil, err
			}
		}
		text = lines.String()
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		var v any
		if err := d.Decode(&v); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

// unknownIn returns a value in v that only means that something is not known.
func unknownIn(v any) string {
	switch v := v.(type) {
	case []any:
		for _, v := range v {
			if u := unknownIn(v); u != "" {
				return u
			}
		}
	case map[string]any:
		for name, v := range v {
			if u := unknownIn(v); u != "" {
				return fmt.Sprintf("%q: %s", name, u)
			}
		}
	case string:
		if strings.HasPrefix(v, "0001-01-01") {
			return v
		}
	case json.Number:
		if v == "-1" {
			return v.String()
		}
	}
	return ""
}

// TestWhatIsHeld: a time and a count that are not known are found anywhere, in both forms.
func TestWhatIsHeld(t *testing.T) {
	for _, c := range []struct {
		form, text string
		count      int
		unknown    string
	}{
		{"json", `{"a": [{"at": "0001-01-01T00:00:00Z"}]}`, 1, `"a": "at": 0001-01-01T00:00:00Z`},
		{"json", "{\"total\": 1}\n{\"total\": -1}", 2, `"total": -1`},
		{"yaml", "---\ntotal: 1\n---\ntotal: -1\n", 2, `"total": -1`},
		{"yaml", "at: 2026-01-01T00:00:00Z\nn: -10\n", 1, ""},
	} {
		values, err := decode(c.form, c.text)
		if err != nil || len(values) != c.count {
			t.Fatalf("%s has %v, %v", c.text, values, err)
		}
		if got := unknownIn(values[len(values)-1]); got != c.unknown {
			t.Errorf("in %s it finds %q", c.text, got)
		}
	}
}

// held guards the compiler: scripts run side by side.
var held sync.Mutex

// exits fails unless the command ends with the status, or with one of several, as in 0|1.
func (y *typist) exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS ARGS…")
	}
	got := y.call(ts, args[1:])
	if !slices.Contains(strings.Split(args[0], "|"), strconv.Itoa(got)) {
		ts.Fatalf("it ends with status %d", got)
	}
	if said := ts.ReadFile("stdout") + ts.ReadFile("stderr"); got != 0 && strings.TrimSpace(said) == "" {
		ts.Fatalf("it ends with status %d, and does not say why", got)
	}
}

func (y *typist) answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: answers STATUS ANSWER RUN ARGS…")
	}
	y.call(ts, []string{"status", args[2], "-o", "json"})
	var v operate.View
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	waits := v.Waits()
	if len(waits) != 1 {
		ts.Fatalf("it waits for %d answers", len(waits))
	}
	y.exits(ts, false, append(args[:3:3], append([]string{"--wait", waits[0].ID}, args[3:]...)...))
}

func (y *typist) until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: until STATUS TEXT ARGS…")
	}
	text, err := regexp.Compile(args[1])
	ts.Check(err)
	for started := time.Now(); ; {
		began := time.Now()
		if got := y.call(ts, args[2:]); strconv.Itoa(got) == args[0] && text.MatchString(ts.ReadFile("stdout")+ts.ReadFile("stderr")) {
			return
		}
		time.Sleep(world.Pause(started, began))
		if time.Since(started) > world.Patience {
			ts.Fatalf("it never is so")
		}
	}
}

// masks are what differs from one run to the next.
var masks = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(` \(\d+[smhd] ago\)`), ""},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "RUN"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*Z?`), "TIME"},
	{regexp.MustCompile(`/\S*/script-[^/\s]*`), "DIR"},
	{regexp.MustCompile(`[\w.-]+@[\w.-]+`), "WHO"},
	{regexp.MustCompile(`\b(\d+m)?\d+s\b`), "TOOK"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`(?m)│\s+\d+\.\d *$`), "│ SECONDS"},
	{regexp.MustCompile(`(?m)[─┼]{3,}`), "─"},
	{regexp.MustCompile(`(?m) {2,}`), " "},
	{regexp.MustCompile(`(?m)^ | $`), ""},
}

func masked(text string) string {
	for _, m := range masks {
		text = m.what.ReplaceAllString(text, m.as)
	}
	return strings.TrimSpace(text)
}

// shows compares the output with a file, but for what masks takes away.
func shows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: shows FILE")
	}
	got, want := masked(ts.ReadFile("stdout")), masked(ts.ReadFile(args[0]))
	if got != want {
		ts.Fatalf("it shows\n%s\nand should show\n%s", got, want)
	}
}

// TestEveryCommandHasATranscript of it when it works, of it when it does not, and of what it prints
// for programs.
func TestEveryCommandHasATranscript(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository, "docs/commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(transcripts, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	elsewhere := map[string]string{
		"doctor works": "TestTheDoctor", // one of the connections here is broken
		// Two print only text, and login what whoami prints.
		"completion is compared": "none", "help is compared": "none", "login is compared": "whoami is compared",
	}
	commands := regexp.MustCompile(`(?m)^## starter (\w+)`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 20 {
		t.Fatalf("docs/commands.md lists %d commands", len(commands))
	}
	for _, c := range commands {
		for outcome, line := range map[string]string{
			"works":       `(?m)^((exits|answers) [03]|until [03] \S+|until [03] '.*') %s\b`,
			"fails":       `(?m)^exits [12] %s\b`,
			"is compared": `(?m)^(exits|answers) [013|]+ %s\b.* (-o|--format) (json|yaml)\b`,
		} {
			line = fmt.Sprintf(line, c[1])
			if elsewhere[c[1]+" "+outcome] == "" && !regexp.MustCompile(line).MatchString(all.String()) {
				t.Errorf("no transcript has starter %s where it %s: %s", c[1], outcome, line)
			}
		}
	}
}
