package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/reference"
	"iterable-segment-export/schemas"
)

// outputs are what each command prints with -o json. Those of nil print none.
var outputs = map[string][]any{
	"abort": {answerOutput{}}, "approve": {answerOutput{}}, "retry": {answerOutput{}}, "cancel": {cancelOutput{}},
	"apply": {[]operate.Step{}}, "check": {checkOutput{}}, "connect": {connectOutput{}}, "connections": {connectionsOutput{}},
	"disconnect": {gateway.Disconnected{}}, "doctor": {doctorOutput{}}, "exports": {[]exportRow{}}, "login": {gateway.Me{}}, "whoami": {gateway.Me{}},
	"move": {schemas.NameRecord{}}, "pause": {scheduleOutput{}}, "resume": {scheduleOutput{}}, "rejects": {gateway.Reject{}},
	"remove": {removeOutput{}}, "report": {reportOutput{}}, "run": {[]operate.View{}, []operate.Run{}, trialOutput{}}, "runs": {[]operate.View{}},
	"status": {runStatus{}, []operate.View{}}, "audit": {schemas.AuditEntry{}}, "find": {people.Found{}, people.ForgetAnswer{}}, "record": {recordOutput{}}, "help": nil, "completion": nil,
}

// TestTheSchemaOfOutputs compares schemas/output.schema.json with one that is generated from
// the types of the outputs.
func TestTheSchemaOfOutputs(t *testing.T) {
	defs := reference.Object{}
	for _, c := range newRoot().Commands() {
		forms, ok := outputs[c.Name()]
		if !ok {
			t.Errorf("nobody has said what %s prints with -o json", c.Name())
		}
		var of []reference.Object
		for _, form := range forms {
			of = append(of, reference.JSONSchema(reflect.TypeOf(form), defs, "#/$defs/"))
		}
		switch len(of) {
		case 0:
		case 1:
			defs[c.Name()] = of[0]
		default:
			defs[c.Name()] = reference.Object{"anyOf": of}
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(reference.Object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Output of the starter with -o json and -o yaml",
		"description": "The output of a command is that of its name in $defs, such as #/$defs/runs. audit and rejects print many values: JSON one a line, YAML one a document. exports -o yaml prints a file of exports.schema.json.",
		"$defs":       defs,
	}); err != nil {
		t.Fatal(err)
	}
	reference.Compare(t, "../schemas/output.schema.json", text.String())
}

// TestOutputsOfEachKind: YAML holds what JSON does, and names are one a line.
func TestOutputsOfEachKind(t *testing.T) {
	rows := []operate.View{{Run: operate.Run{Export: "yes: no", RunID: "r1"}}, {Run: operate.Run{RunID: "r2"}}}
	print := func(output string) string {
		t.Helper()
		var out bytes.Buffer
		a := &app{output: output}
		if done, err := list(a, &out, rows, rows, runID); err != nil || done == (output == outputTable) {
			t.Fatalf("%s: %v, %v", output, done, err)
		}
		return out.String()
	}
	var fromJSON, fromYAML any
	if err := json.Unmarshal([]byte(print(outputJSON)), &fromJSON); err != nil {
		t.Fatal(err)
	}
	text := print(outputYAML)
	if err := yaml.Unmarshal([]byte(text), &fromYAML); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	a, _ := json.Marshal(fromJSON)
	b, _ := json.Marshal(fromYAML)
	if !bytes.Equal(a, b) || strings.HasPrefix(text, "[") {
		t.Errorf("JSON has %s, and YAML %s:\n%s", a, b, text)
	}
	if got := print(outputName); got != "r1\nr2\n" {
		t.Errorf("the names are %q", got)
	}
	if got := print(outputTable); got != "" {
		t.Errorf("beside a table it prints %q", got)
	}
}

// TestNothingToListIsAnEmptyList, and not null, which jq '.[]' refuses.
func TestNothingToListIsAnEmptyList(t *testing.T) {
	for _, output := range []string{outputJSON, outputYAML} {
		var out bytes.Buffer
		if err := (&app{output: output}).encode(&out, []operate.View(nil)); err != nil || strings.TrimSpace(out.String()) != "[]" {
			t.Errorf("%s: %q, %v", output, out.String(), err)
		}
	}
}

// TestOutputsThatACommandHasNot are refused before anything is done.
func TestOutputsThatACommandHasNot(t *testing.T) {
	for _, args := range [][]string{{"whoami", "-o", "name"}, {"runs", "-o", "xml"}, {"apply", "-o", "csv"}} {
		var out, errOut bytes.Buffer
		if got := execute(t.Context(), args, &out, &errOut); got != exitUsage || !strings.Contains(errOut.String(), "use table, json or yaml") {
			t.Errorf("%q ends with %d: %s", args, got, errOut.String())
		}
	}
}

// TestAges are in their largest unit.
func TestAges(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		-time.Minute: "(0s ago)", 59 * time.Second: "(59s ago)", 61 * time.Minute: "(1h ago)", 47 * time.Hour: "(47h ago)", 50 * time.Hour: "(2d ago)",
	} {
		if got := aged(now.Add(-ago), now); !strings.HasSuffix(got, want) || !strings.HasPrefix(got, local(now.Add(-ago))) {
			t.Errorf("%s ago is %q, want %q", ago, got, want)
		}
	}
	if got := aged(time.Time{}, now); got != "" {
		t.Errorf("no time is %q", got)
	}
}

// TestStartsOfAPlanFromTheGateway: a plan that came over HTTP shows its starts in their zone.
func TestStartsOfAPlanFromTheGateway(t *testing.T) {
	data, err := json.Marshal([]operate.Step{{Verb: operate.VerbCreate, Export: "Spring", Outlook: &operate.Outlook{
		Words: "every day at 04:00 Europe/Oslo", TimeZone: "Europe/Oslo", Next: []time.Time{time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var steps []operate.Step
	if err := json.Unmarshal(data, &steps); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	console.Starts(&out, steps, time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC))
	if !strings.Contains(out.String(), "04:00") || !strings.Contains(out.String(), `Starts of "Spring"`) || strings.Contains(out.String(), "02:00") {
		t.Errorf("it shows %q", out.String())
	}
}
