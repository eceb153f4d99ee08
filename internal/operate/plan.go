package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// Verbs of a Step.
const (
	VerbCreate    = "create"
	VerbChange    = "change"
	VerbRemove    = "remove"
	VerbUnchanged = "unchanged"
	// VerbKeep is for an export that is not in the file, and stays all the same.
	VerbKeep = "keep"
)

// Step is what applying a file does with one export.
type Step struct {
	Verb   string `json:"verb"`
	Export string `json:"export"`
	// Changes are the settings that a change changes.
	Changes []Change `json:"changes,omitempty"`
	// SentAgain tells that the next run sends everybody again, since the mapping changes.
	SentAgain bool `json:"sentAgain,omitempty"`
	// NewFields are the data fields that the next run would create in Iterable;
	// Unforeseen says why that is not known, where it isn't.
	NewFields  []string `json:"newFields,omitempty"`
	Unforeseen string   `json:"unforeseen,omitempty"`
	// Error says why the step failed, empty while it was not tried or if it did not.
	Error string `json:"error,omitempty"`

	want schemas.ScheduledInput
	have Applied
}

// Want is the export as the step would have it, and Have as it is.
func (s Step) Want() schemas.Export { return s.want.Export }

// Have is the export as it was applied.
func (s Step) Have() schemas.Export { return s.have.Export }

// Change is one setting, as JSON; one that is not there is empty.
type Change struct {
	Setting string `json:"setting"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
}

// Plan compares a file with what was applied. With prune, exports that are not in
// the file are to be removed. renew has every export granted anew.
func Plan(file *schemas.Exports, applied []Applied, prune, renew bool) ([]Step, error) {
	have := map[string]Applied{}
	for _, a := range applied {
		have[a.Export.Name] = a
	}
	var steps []Step
	final := slices.Clone(file.Exports)
	for _, e := range file.Exports {
		want := schemas.ScheduledInput{Export: e}
		if t, ok := file.Timing(e); ok {
			want.Timing = &t
		}
		a, ok := have[e.Name]
		delete(have, e.Name)
		s := Step{Verb: VerbCreate, Export: e.Name, want: want, have: a}
		if ok {
			s.Verb, s.Changes = VerbUnchanged, changes(a.ScheduledInput, want)
			s.SentAgain = snapshot.MappingFingerprint(a.Export, "") != snapshot.MappingFingerprint(e, "")
			if renew {
				s.Changes = append(s.Changes, Change{Setting: "grant", New: "renewed"})
			}
			if len(s.Changes) > 0 {
				s.Verb = VerbChange
			}
		}
		steps = append(steps, s)
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		s := Step{Verb: VerbKeep, Export: name, have: have[name]}
		if prune {
			s.Verb = VerbRemove
		} else {
			final = append(final, have[name].Export)
		}
		steps = append(steps, s)
	}
	return steps, clash(final)
}

// clash refuses two exports that would feed one list: each could remove people
// whom the other has put there.
func clash(all []schemas.Export) error {
	for i, a := range all {
		for _, b := range all[:i] {
			for _, s := range a.Segments {
				for _, t := range b.Segments {
					same := s.Name == t.Name && (s.ListID == t.ListID || s.ListID == 0 || t.ListID == 0) || s.ListID != 0 && s.ListID == t.ListID
					if a.Connection == b.Connection && same {
						return access.No(schemas.ErrorConflict, "the exports «%s» and «%s» would feed one list of connection «%s», that of segment «%s»; give one of them another segment name or connection, or remove one (starter remove, or starter apply --prune if it is not in the file any more)",
							b.Name, a.Name, a.Connection, s.Name)
					}
				}
			}
		}
	}
	return nil
}

// changes lists the settings that differ.
func changes(have, want schemas.ScheduledInput) []Change {
	have.Grant, want.Grant = nil, nil
	old, now := flat(have), flat(want)
	var out []Change
	for _, k := range slices.Sorted(maps.Keys(old)) {
		if v, ok := now[k]; !ok || v != old[k] {
			out = append(out, Change{Setting: k, Old: old[k], New: v})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(now)) {
		if _, ok := old[k]; !ok {
			out = append(out, Change{Setting: k, New: now[k]})
		}
	}
	return out
}

// flat is what a value holds, by the paths of its parts. Segments go by their names.
func flat(in schemas.ScheduledInput) map[string]string {
	out := map[string]string{}
	segments := in.Export.Segments
	in.Export.Segments = nil
	flatten("", in.Export, out)
	delete(out, "segments")
	for _, s := range segments {
		flatten("segments."+strconv.Quote(s.Name), s, out)
	}
	if in.Timing != nil {
		flatten("starts", in.Timing, out)
	}
	return out
}

func flatten(at string, v any, out map[string]string) {
	data, err := json.Marshal(v)
	var m map[string]json.RawMessage
	if err == nil && json.Unmarshal(data, &m) == nil && m != nil {
		for k, part := range m {
			if at != "" {
				k = at + "." + k
			}
			flatten(k, part, out)
		}
		return
	}
	out[at] = string(bytes.TrimSpace(data))
}

// Apply does a plan's steps, each as far as the others let it, and notes in them
// what failed; saving runs nothing. A second Apply of the same file mends what the
// first left undone.
func (o *Operator) Apply(ctx context.Context, steps []Step) error {
	failed := 0
	for i := range steps {
		if err := o.ApplyStep(ctx, steps[i]); err != nil {
			steps[i].Error = err.Error()
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d exports could not be applied; see to it and apply the file again", failed, len(steps))
	}
	return nil
}

// ApplyStep does one step of a plan.
func (o *Operator) ApplyStep(ctx context.Context, s Step) error {
	var err error
	switch s.Verb {
	case VerbCreate, VerbChange:
		in, err := o.granted(ctx, schemas.RunInput{Export: s.want.Export}, schemas.TriggerSchedule)
		if err != nil {
			return err
		}
		s.want.Grant = in.Grant
		if s.Verb == VerbCreate {
			return o.create(ctx, s.want)
		}
		return o.change(ctx, s.want)
	case VerbRemove:
		_, err = o.Remove(ctx, s.have, false)
	}
	return err
}

// Run starts a run of an applied export, as it was applied.
func (o *Operator) Run(ctx context.Context, a Applied, full bool) (Run, bool, error) {
	return o.join(ctx, a.Export, full)(o.start(ctx, schemas.RunWorkflowID(a.Export.Name), "Export", schemas.RunInput{Export: a.Export, Full: full}))
}

// ErrUnderWay says that an export can't be removed since it runs.
var ErrUnderWay = errors.New("a run is under way")
