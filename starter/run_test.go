package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// busy is a service with a run under way that has looked at the data. It ends in a state when
// it is watched.
type busy struct {
	gateway.Service
	ends  string
	mu    sync.Mutex
	calls []string
}

func (s *busy) call(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, what)
}

func (s *busy) Start(_ context.Context, in gateway.StartRequest) (gateway.Started, error) {
	if in.Export == "Other" {
		s.call("start Other")
		return gateway.Started{Run: operate.Run{Export: "Other", RunID: "other"}}, nil
	}
	s.call("start")
	if !slices.Contains(s.calls, "watch first") {
		return gateway.Started{}, access.No(schemas.ErrorHasLooked, "it has looked")
	}
	return gateway.Started{Run: operate.Run{Export: "Spring", RunID: "second"}}, nil
}

func (s *busy) Find(context.Context, string) (operate.Run, error) {
	return operate.Run{Export: "Spring", RunID: "first"}, nil
}

func (s *busy) Watch(_ context.Context, run operate.Run, _ bool, _ func(operate.View, error)) (operate.View, error) {
	s.call("watch " + run.RunID)
	v := operate.View{Run: run, State: schemas.StateDone}
	if run.RunID == "first" {
		v.State = s.ends
	}
	return v, nil
}

// TestDataThatComesDuringARun: an orchestrator's data is read by a run that starts after those
// under way.
func TestDataThatComesDuringARun(t *testing.T) {
	for name, c := range map[string]struct {
		ends   string
		flags  runFlags
		status error
		calls  string
	}{
		"the run ends":   {schemas.StateDone, runFlags{wait: true}, nil, "start, watch first, start, watch second"},
		"it fails":       {schemas.StateFailed, runFlags{wait: true}, nil, "start, watch first, start, watch second"},
		"it waits":       {schemas.StateWaiting, runFlags{wait: true}, status(exitWaiting), "start, watch first"},
		"nobody follows": {schemas.StateDone, runFlags{wait: true, detach: true}, access.No(schemas.ErrorHasLooked, "it has looked"), "start"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &busy{ends: c.ends}
			cmd := &cobra.Command{}
			cmd.SetContext(t.Context())
			var out strings.Builder
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			err := (&app{output: "table"}).run(cmd, s, []gateway.StartRequest{{Export: "Spring", AwaitData: true}}, c.flags)
			if fmt.Sprint(err) != fmt.Sprint(c.status) || strings.Join(s.calls, ", ") != c.calls {
				t.Errorf("%v after %v:\n%s", err, s.calls, &out)
			}
		})
	}
}

// TestABusyExportHoldsUpNoOther: the others are started before the wait, and the exit status is
// that of the wait for an operator.
func TestABusyExportHoldsUpNoOther(t *testing.T) {
	s := &busy{ends: schemas.StateWaiting}
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	var out strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := (&app{output: "table"}).run(cmd, s, []gateway.StartRequest{{Export: "Spring", AwaitData: true}, {Export: "Other", AwaitData: true}}, runFlags{wait: true})
	if err != error(status(exitWaiting)) || len(s.calls) != 4 || s.calls[1] != "start Other" {
		t.Errorf("%v after %v:\n%s", err, s.calls, &out)
	}
}

// ordered is a service with exports of which one is after another.
type ordered struct{ gateway.Service }

func (ordered) Exports(context.Context) ([]operate.Applied, error) {
	var all []operate.Applied
	for _, e := range []schemas.Export{{Name: "Profiles"}, {Name: "Newsletter", After: []string{"Profiles"}}, {Name: "Off"}} {
		all = append(all, operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: e}})
	}
	all[0].Timing = &schemas.Timing{Every: "6h"}
	return all, nil
}

// TestAllStartsAtOnce: starter run --all says that it does not keep the order.
func TestAllStartsAtOnce(t *testing.T) {
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	var out strings.Builder
	cmd.SetErr(&out)
	starts, err := scheduled(cmd, ordered{}, runFlags{})
	if err != nil || len(starts) != 2 || starts[0].Export != "Profiles" || starts[1].Export != "Newsletter" {
		t.Errorf("%+v, %v", starts, err)
	}
	if want := `"Newsletter" starts at once with the others, although it is after "Profiles"`; strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), want) {
		t.Errorf("it says %q, want %q", &out, want)
	}
}

// TestFieldsOfFlags refuses a field without a column, or with an empty name.
func TestFieldsOfFlags(t *testing.T) {
	for field, want := range map[string]schemas.Field{
		"City": {Column: "City"}, "LifetimeValue:ltv": {Column: "LifetimeValue", As: "ltv"}, "FirstName:": {}, ":name": {}, ":": {}, "": {},
	} {
		f := runFlags{fields: []string{field}, export: schemas.Export{Connection: "marketing", Email: "Email"}}
		f.segment.Name, f.segment.Source = "S1", "segments/s1"
		e, err := f.define()
		if want.Column == "" {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("invalid --field %q", field)) {
				t.Errorf("%q: %v", field, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(e.Fields.List, []schemas.Field{want}) {
			t.Errorf("%q: %+v, %v", field, e.Fields.List, err)
		}
	}
}
