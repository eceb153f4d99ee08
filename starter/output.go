package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/schemas"
)

// Values of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
	outputName  = "name"
)

// named are the commands that list things with names.
var named = []string{"exports", "connections", "runs", "status"}

// checkOutput refuses a value of --output that a command does not have.
func (a *app) checkOutput(c *cobra.Command) error {
	allowed := []string{outputTable, outputJSON, outputYAML}
	if slices.Contains(named, c.Name()) {
		allowed = append(allowed, outputName)
	}
	if !slices.Contains(allowed, a.output) {
		return usageError{fmt.Errorf("--output %q: use table, json or yaml; name is for exports, connections, runs and status", a.output)}
	}
	return nil
}

// structured reports whether the output is for programs.
func (a *app) structured() bool { return a.output == outputJSON || a.output == outputYAML }

// encode writes v as JSON or YAML. Its form is in schemas/output.schema.json. A list without
// elements is [], not null.
func (a *app) encode(w io.Writer, v any) error {
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && list.IsNil() {
		v = []any{}
	}
	if a.output == outputYAML {
		return console.YAML(w, v)
	}
	return console.JSON(w, v)
}

// formatOne are the functions that print one value of many, by the value of --output.
var formatOne = map[string]func(io.Writer, any) error{outputJSON: console.JSONLine, outputYAML: console.YAMLDocument}

// list writes rows as JSON or YAML, or their names, one a line. It returns false if a table
// was asked for.
func list[T any](a *app, w io.Writer, v any, rows []T, name func(T) string) (done bool, err error) {
	switch {
	case a.structured():
		return true, a.encode(w, v)
	case a.output != outputName:
		return false, nil
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, name(row)); err != nil {
			return true, err
		}
	}
	return true, nil
}

// The outputs that are of no other package's type.
type (
	answerOutput struct {
		Run    operate.Run `json:"run"`
		Answer string      `json:"answer"`
		Wait   string      `json:"wait"`
		// Took is the workflow that took the answer.
		Took string `json:"took"`
	}
	cancelOutput struct {
		Run    operate.Run `json:"run"`
		Cancel string      `json:"cancel"`
	}
	connectOutput struct {
		Check   schemas.ConnectionCheck `json:"check"`
		Consent schemas.ConsentRecord   `json:"consent"`
	}
	connectionsOutput struct {
		Person      schemas.Person  `json:"person"`
		Connections []connectionRow `json:"connections"`
		// Broken is what is wrong with connections.yaml, since BrokenSince.
		Broken      string     `json:"broken,omitempty"`
		BrokenSince *time.Time `json:"brokenSince,omitempty"`
	}
	checkOutput struct {
		Run      operate.Run       `json:"run"`
		State    string            `json:"state"`
		Error    string            `json:"error"`
		Segments []console.Checked `json:"segments"`
	}
	doctorOutput struct {
		Healthy  bool             `json:"healthy"`
		Findings []doctor.Finding `json:"findings"`
	}
	scheduleOutput struct {
		Export string `json:"export"`
		Done   string `json:"done"`
	}
	removeOutput struct {
		Export  string               `json:"export"`
		Removed schemas.RemoveAnswer `json:"removed"`
	}
	recordOutput struct {
		Record string `json:"record"`
	}
	reportOutput struct {
		Report string `json:"report"`
		// Overview is the content of the page that report --all saves.
		Overview *report.Overview `json:"overview,omitempty"`
	}
)
