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
	"strings"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// Verbs of a Step.
const (
	VerbCreate    = "create"
	VerbChange    = "change"
	VerbRemove    = "remove"
	VerbUnchanged = "unchanged"
	// VerbKeep is for an export that is not in the file and stays.
	VerbKeep = "keep"
)

// Step is what applying a file does with one export.
type Step struct {
	Verb   string `json:"verb"`
	Export string `json:"export"`
	// Changes are the settings that VerbChange changes.
	Changes []Change `json:"changes,omitempty"`
	// SentAgain reports whether the next run sends all profiles on a list again. SentAgainWhy says
	// why; it is empty if the step changes the mapping.
	SentAgain    bool   `json:"sentAgain,omitempty"`
	SentAgainWhy string `json:"sentAgainWhy,omitempty"`
	// NewFields are the data fields that the next run would create in Iterable.
	// Unforeseen says why they, or what is sent again, are not known.
	NewFields  []string `json:"newFields,omitempty"`
	Unforeseen string   `json:"unforeseen,omitempty"`
	// Outlook is what the schedule means, nil without one.
	Outlook *Outlook `json:"outlook,omitempty"`
	// Error says why the step failed.
	Error string `json:"error,omitempty"`

	want schemas.ScheduledInput
	have Applied
	// relinks reports whether only the followers change, so that the grant is kept.
	relinks bool
	// upstream has the connections of the exports that the wanted one is after.
	upstream map[string]string
	// unscheduled is the export that the wanted one is after in the end, if it has no schedule.
	unscheduled string
}

// Want returns the export as it is in the file.
func (s Step) Want() schemas.Export { return s.want.Export }

// Timing returns the timing of the export in the file, or nil if it has none.
func (s Step) Timing() *schemas.Timing { return s.want.Timing }

// Have returns the export as it was applied.
func (s Step) Have() schemas.Export { return s.have.Export }

// Granted reports whether the export as it was applied has a grant.
func (s Step) Granted() bool { return s.have.Grant != nil }

// Relinks reports whether the step changes only which exports are after this one.
func (s Step) Relinks() bool { return s.relinks }

// Upstream returns the connections of the exports that the one in the file is after and was
// not before, by the names of the exports.
func (s Step) Upstream() map[string]string {
	out := maps.Clone(s.upstream)
	for _, name := range s.have.Export.After {
		delete(out, name)
	}
	return out
}

// Unscheduled returns a warning if nothing starts the export by itself.
func (s Step) Unscheduled() []string {
	if s.unscheduled == "" {
		return nil
	}
	return []string{fmt.Sprintf("%q has no schedule, so this starts only after news of that export's data (docs/triggers.md) or with starter run", s.unscheduled)}
}

// Unfollows reports whether the step only removes exports from those that are after this one.
func (s Step) Unfollows() bool { return s.relinks && within(s.want.Followers, s.have.Followers) }

// drops reports whether the step removes exports from those that are after this one.
func (s Step) drops() bool {
	return s.Verb == VerbChange && !within(s.have.Followers, s.want.Followers)
}

// within reports whether all names are among others.
func within(names, others []string) bool {
	return !slices.ContainsFunc(names, func(f string) bool { return !slices.Contains(others, f) })
}

// Change is one setting as JSON, empty where it is not set.
type Change struct {
	Setting string `json:"setting"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
}

// Plan compares a file with what was applied. With prune it removes exports that are not
// in the file. It grants exports again whose grants are not valid or will not be, and with
// renew every export. The steps are in the order in which they have to be done.
func Plan(file *schemas.Exports, applied []Applied, prune, renew bool) ([]Step, error) {
	have := map[string]Applied{}
	for _, a := range applied {
		have[a.Export.Name] = a
	}
	var final []schemas.ScheduledInput
	inFile := map[string]bool{}
	for _, e := range file.Exports {
		in := schemas.ScheduledInput{Export: e}
		if t, ok := file.Timing(e); ok {
			in.Timing = &t
		}
		final, inFile[e.Name] = append(final, in), true
	}
	var removed []schemas.ScheduledInput
	for _, name := range slices.Sorted(maps.Keys(have)) {
		switch {
		case inFile[name]:
		case prune:
			removed = append(removed, have[name].ScheduledInput)
		default:
			final = append(final, have[name].ScheduledInput)
		}
	}
	first, err := checkOrder(final)
	if err := errors.Join(clash(final), err); err != nil {
		return nil, err
	}
	after, connections := followers(final), map[string]string{}
	for _, in := range final {
		connections[in.Export.Name] = in.Export.Connection
	}
	var out []Step
	links := map[string]Step{}
	for _, want := range final {
		want.Followers = after[want.Export.Name]
		a, ok := have[want.Export.Name]
		s := step(want, a, ok, inFile[want.Export.Name], renew)
		s.upstream = map[string]string{}
		for _, name := range want.Export.After {
			s.upstream[name] = connections[name]
		}
		if root := first[s.Export]; root.Timing == nil && root.Export.Name != s.Export {
			s.unscheduled = root.Export.Name
		}
		if s.relinks || s.drops() { // once the others are as the file wants them
			links[s.Export] = s
		} else {
			out = append(out, s)
		}
	}
	for _, name := range lastFirst(removed) {
		out = append(out, Step{Verb: VerbRemove, Export: name, have: have[name]})
	}
	for _, name := range lastFirst(inputs(applied)) {
		if s, ok := links[name]; ok {
			out = append(out, s)
		}
	}
	return out, nil
}

func inputs(applied []Applied) (all []schemas.ScheduledInput) {
	for _, a := range applied {
		all = append(all, a.ScheduledInput)
	}
	return all
}

// step compares an export with what was applied, if it was.
func step(want schemas.ScheduledInput, a Applied, applied, inFile, renew bool) Step {
	s := Step{Verb: VerbCreate, Export: want.Export.Name, want: want, have: a}
	if !applied {
		return s
	}
	s.Verb, s.Changes = VerbUnchanged, changes(a.ScheduledInput, want)
	if why := a.renewal(renew); why != "" && inFile {
		s.Changes = append(s.Changes, Change{Setting: "grant", New: why})
	}
	s.relinks = len(s.Changes) == 1 && s.Changes[0].Setting == settingFollowers
	s.SentAgain = a.Export.MappingFingerprint("") != want.Export.MappingFingerprint("")
	switch {
	case len(s.Changes) > 0:
		s.Verb = VerbChange
	case !inFile:
		return Step{Verb: VerbKeep, Export: s.Export, have: a}
	}
	return s
}

// settingFollowers is the Change.Setting of ScheduledInput.Followers.
const settingFollowers = "followers"

// clash refuses two exports that would send to the same list: each could remove members
// that the other has added.
func clash(all []schemas.ScheduledInput) error {
	type filler struct {
		export string
		schemas.Targets
	}
	before := map[string][]filler{} // by connection
	for _, in := range all {
		var mine []filler
		for _, s := range in.Export.Segments {
			a := filler{in.Export.Name, s.Targets()}
			others := before[in.Export.Connection]
			for i := range others {
				b := &others[i]
				if list, same := a.Same(&b.Targets); same {
					return access.No(schemas.ErrorConflict, "exports %q and %q would send to the same list of connection %q, that of segment %q; give one another segment name or connection, or remove one (starter remove, or starter apply --prune if it is no longer in the file)",
						b.export, a.export, in.Export.Connection, list)
				}
			}
			mine = append(mine, a)
		}
		before[in.Export.Connection] = append(before[in.Export.Connection], mine...)
	}
	return nil
}

// changes returns the settings that differ.
func changes(have, want schemas.ScheduledInput) []Change {
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
	return asSchedule(out)
}

// startsOf is the path of an export's timing in the result of flat.
const startsOf = "starts."

// asSchedule returns changes with those of when the export starts as settings of its schedule:
// "starts" is no setting, and the file's schedule may be the one that changed.
func asSchedule(all []Change) []Change {
	if !slices.ContainsFunc(all, func(c Change) bool { return strings.HasPrefix(c.Setting, startsOf) }) {
		return all
	}
	all = slices.DeleteFunc(all, func(c Change) bool { return strings.HasPrefix(c.Setting, "schedule.") })
	for i := range all {
		if name, is := strings.CutPrefix(all[i].Setting, startsOf); is {
			all[i].Setting = "schedule." + name
		}
	}
	return all
}

// flat returns the settings of an export and its timing by their paths. Segments go by
// their names.
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
		flatten(strings.TrimSuffix(startsOf, "."), in.Timing, out)
	}
	if len(in.Followers) > 0 {
		flatten(settingFollowers, in.Followers, out)
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

// ApplyStep does one step of a plan. Nothing runs because of it.
func (o *Session) ApplyStep(ctx context.Context, s Step) error {
	switch s.Verb {
	case VerbCreate, VerbChange:
		if s.relinks {
			return o.applyLinks(ctx, s)
		}
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
		now, err := o.describe(ctx, s.have.ScheduleID)
		if errors.Is(err, ErrNotApplied) {
			now, err = s.have, nil
		}
		if err == nil {
			err = o.Unfollowed(ctx, now)
		}
		if err == nil {
			_, err = o.Remove(ctx, s.have, false)
		}
		return err
	}
	return nil
}

// moved returns an applied export over another connection, without its grant.
func moved(a Applied, connection string) schemas.ScheduledInput {
	in := a.ScheduledInput
	in.Export.Connection, in.Grant = connection, nil
	return in
}

// CheckMove refuses to move an export to a connection where another export sends to its
// lists.
func (o *Session) CheckMove(ctx context.Context, a Applied, connection string) error {
	applied, err := o.Applied(ctx)
	if err != nil {
		return err
	}
	all := []schemas.ScheduledInput{moved(a, connection)}
	for _, other := range applied {
		if other.Export.Name != a.Export.Name {
			all = append(all, other.ScheduledInput)
		}
	}
	return clash(all)
}

// Move changes the connection of an applied export.
func (o *Session) Move(ctx context.Context, a Applied, connection string) error {
	in := moved(a, connection)
	granted, err := o.granted(ctx, schemas.RunInput{Export: in.Export}, schemas.TriggerSchedule)
	if err != nil {
		return err
	}
	in.Grant = granted.Grant
	now, err := o.describe(ctx, schemas.ScheduleID(in.Export.Name))
	if err == nil && !schemas.Equal(now.Export, a.Export) {
		err = access.No(schemas.ErrorChanged, "it has been applied again meanwhile")
	}
	if err == nil {
		err = o.change(ctx, in)
	}
	if err != nil {
		return fmt.Errorf("change the schedule of %q (move the export again): %w", in.Export.Name, err)
	}
	return nil
}
