package main

import (
	"context"
	"fmt"
	"io"
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

// joins is a service with a run of Spring under way.
type joins struct{ gateway.Service }

func (joins) Start(_ context.Context, in gateway.StartRequest) (gateway.Started, error) {
	return gateway.Started{Run: operate.Run{Export: in.Export, RunID: in.Export}, Joined: in.Export == "Spring"}, nil
}

// TestARunThatIsJoinedWasNotStarted by this command.
func TestARunThatIsJoinedWasNotStarted(t *testing.T) {
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	var out strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := (&app{output: "table"}).run(cmd, joins{}, []gateway.StartRequest{{Export: "Spring"}, {Export: "Other"}}, runFlags{detach: true})
	if err != nil || !strings.HasPrefix(out.String(), "Under way: run Spring.") || !strings.Contains(out.String(), "\nStarted: run Other.") {
		t.Errorf("%v:\n%s", err, &out)
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

// ordered is a service with exports of which one is after another, and one has no schedule.
type ordered struct {
	busy
	none bool // no export has one
}

func (s *ordered) Names(context.Context) ([]string, error) {
	s.call("names")
	return []string{"Newsletter", "Off", "Profiles"}, nil
}

func (s *ordered) Start(_ context.Context, in gateway.StartRequest) (gateway.Started, error) {
	s.call("start " + in.Export)
	out := gateway.Started{Run: operate.Run{Export: in.Export, RunID: in.Export}, Unscheduled: in.Scheduled && (s.none || in.Export == "Off")}
	if in.Scheduled && in.Export == "Newsletter" {
		out.Follows = `after "Profiles"`
	}
	return out, nil
}

// TestAllStartsAtOnce: starter run --all asks for the names once, starts each export that has a
// schedule, and says that it does not keep the order.
func TestAllStartsAtOnce(t *testing.T) {
	for _, none := range []bool{false, true} {
		s := &ordered{none: none}
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		var out, errOut strings.Builder
		cmd.SetOut(&out)
		cmd.SetErr(&errOut)
		f := runFlags{all: true, detach: true}
		starts, err := scheduled(t.Context(), s, f)
		if err == nil {
			err = (&app{output: "table"}).run(cmd, s, starts, f)
		}
		if calls := strings.Join(s.calls, ", "); calls != "names, start Newsletter, start Off, start Profiles" {
			t.Errorf("the calls are %s", calls)
		}
		if none {
			if err == nil || !strings.Contains(err.Error(), "no export has an active schedule") {
				t.Error(err)
			}
			continue
		}
		if err != nil || strings.Count(out.String(), "Started:") != 2 || strings.Contains(out.String(), "Off") {
			t.Errorf("%v, %s", err, &out)
		}
		if want := `"Newsletter" starts at once with the others, although it is after "Profiles"`; strings.Count(errOut.String(), "\n") != 1 || !strings.Contains(errOut.String(), want) {
			t.Errorf("it says %q, want %q", &errOut, want)
		}
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
