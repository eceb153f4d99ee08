package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/schemas"
)

// try starts a trial of an export. The people that it names go into the data root, and from there
// to the worker.
func (l *Local) try(ctx context.Context, o *operate.Session, e schemas.Export, in StartRequest) (operate.Run, error) {
	var none operate.Run
	if in.Check || in.AwaitData {
		return none, access.No(schemas.ErrorBadRequest, "a trial sends what is there now; leave out check and awaitData")
	}
	people, err := trial.Check(in.Trial.Only)
	if err != nil {
		return none, access.No(schemas.ErrorBadRequest, "%v", err)
	}
	tried, err := trialOf(e, *in.Trial)
	if err != nil {
		return none, err
	}
	if err := l.freeList(ctx, tried); err != nil {
		return none, err
	}
	if err := l.mayChange(ctx, tried.Name, tried.Connection); err != nil {
		return none, err
	}
	root, err := l.Root(ctx)
	if err != nil {
		return none, err
	}
	if len(people) > 0 {
		if err := root.CheckKey(ctx, 1, dataroot.SnapshotsDir, dataroot.ReportsDir); err != nil {
			return none, fmt.Errorf("the people of the trial can't be stored as the workers store people: %w", err)
		}
	}
	if o.Key, err = trialKey(ctx, root, l.who, in); err != nil {
		return none, err
	}
	if run, again, err := o.Tried(ctx, tried.Name); again || err != nil {
		return run, err
	}
	if len(people) == 0 {
		run, _, err := o.Try(ctx, tried)
		return run, err
	}
	of := tried.Trial()
	if of.People, err = trial.Keep(ctx, root, tried.Connection, tried.Name, people); err != nil {
		return none, err
	}
	run, begun, err := o.Try(ctx, tried)
	if !begun { // no trial reads this file; the sweep deletes it if this can't
		_ = trial.Delete(context.WithoutCancel(ctx), root, tried.Connection, tried.Name, of.People)
	}
	return run, err
}

// trialKey is startKey for a request that may name people: its hash can't be guessed.
func trialKey(ctx context.Context, root *storage.Root, who schemas.Person, in StartRequest) (string, error) {
	if in.Key == "" {
		return "", nil
	}
	body, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	what, err := trial.Sum(ctx, root, body)
	return keyOf(who, in.Key, what), err
}

// trialOf returns the export that tries a segment of e.
func trialOf(e schemas.Export, in TrialRequest) (schemas.Export, error) {
	no := func(format string, args ...any) (schemas.Export, error) {
		return schemas.Export{}, access.No(schemas.ErrorBadRequest, format, args...)
	}
	if in.Limit < 0 || in.Limit > schemas.MostTried || in.Limit == 0 && len(in.Only) == 0 {
		return no("a trial needs the people to send, or how many, 1 to %d", schemas.MostTried)
	}
	var names []string
	for _, s := range e.Segments {
		names = append(names, s.Name)
	}
	at := slices.Index(names, in.Segment)
	switch {
	case in.Segment == "" && len(names) == 1:
		at = 0
	case in.Segment == "":
		return no("export %q has %d segments; name the one to try with --segment: %s", e.Name, len(names), spelling.Either(names))
	case at < 0:
		return no("export %q has no segment %q%s", e.Name, in.Segment, spelling.Guess(in.Segment, names))
	}
	s := e.Segments[at]
	of := &schemas.Trial{Limit: int64(cmp.Or(in.Limit, schemas.MostTried)), Of: s.Name}
	if s.Divided() {
		of.Split, of.ForEach, of.MaxLists = s.Split, s.ForEach, s.MaxLists
		s.Split, s.ForEach, s.MaxLists, s.Vanished = nil, "", 0, ""
	}
	s.Name, s.ListID = cmp.Or(in.List, schemas.TrialName(s.Name)), 0
	if name := fills(e, s.Name); name != "" {
		return no("the list %q is one that export %q keeps; a trial needs another one", name, e.Name)
	}
	e.Segments = []schemas.Segment{s}
	e.Schedule, e.Notify, e.After, e.AfterFailure = schemas.Schedule{Off: true}, nil, nil, ""
	record := schemas.RecordAll
	if e.Record == schemas.RecordNone && len(in.Only) == 0 {
		record = schemas.RecordSent // who started the trial asks about these, and about nobody else
	}
	e.Mode, e.FullEvery = schemas.ModeAppend, 0
	if err := config.CheckExports(&schemas.Exports{Exports: []schemas.Export{e}}); err != nil {
		return no("the trial of export %q is not possible: %v", e.Name, err)
	}
	e.Name, e.Record = schemas.TrialName(e.Name), record
	e.Segments[0].Trial = of
	return e, nil
}

// fills returns the list of an export that Iterable takes for the one of that name, or the name of
// the segment that may have such a list with other rows. It returns "" if there is none. The default
// names of trials are nobody's values.
func fills(e schemas.Export, list string) string {
	fold := func(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
	for _, s := range e.Segments {
		for _, name := range append(s.Lists(), s.Name) {
			if fold(name) == fold(list) {
				return name
			}
		}
		each := schemas.Segment{Name: strings.ToLower(s.Name), ForEach: strings.ToLower(s.ForEach)}
		if s.ForEach != "" && !schemas.IsTrial(list) && each.MayFill(fold(list)) {
			return s.Name
		}
	}
	return ""
}

// freeList refuses a trial in a list that an applied export fills, or will fill at its first run.
// The run itself refuses a list that another export owns.
func (l *Local) freeList(ctx context.Context, tried schemas.Export) error {
	applied, err := l.reader().Applied(ctx)
	if err != nil {
		return err
	}
	for _, a := range applied {
		if a.Export.Connection != tried.Connection {
			continue
		}
		if name := fills(a.Export, tried.Segments[0].Name); name != "" {
			return access.No(schemas.ErrorConflict, "the list %q is one that export %q keeps; name another one with --list", name, a.Export.Name)
		}
	}
	return nil
}

// moveTrials moves the trials of an export with it, from the connection that the export has. Those
// over another connection stay: the person may not be allowed to use it.
func (l *Local) moveTrials(ctx context.Context, gate *access.Gate, export, from, to string) error {
	name := schemas.TrialName(export)
	owner, has, err := gate.Owner(ctx, name)
	if err == nil && has && owner.Connection == from {
		_, err = gate.Move(ctx, name, from, to, l.who.Name)
	}
	return err
}
