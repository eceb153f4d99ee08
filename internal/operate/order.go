package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// followers returns the names of the exports that are after each export, sorted.
func followers(all []schemas.ScheduledInput) map[string][]string {
	out := map[string][]string{}
	for _, in := range all {
		for _, upstream := range in.Export.After {
			out[upstream] = append(out[upstream], in.Export.Name)
		}
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
}

// checkOrder refuses exports that can't be refreshed in order: after one that does not exist,
// after each other, or after several that start at different times. It returns the first of
// the exports that each one is after in the end.
func checkOrder(all []schemas.ScheduledInput) (first map[string]schemas.ScheduledInput, err error) {
	first = map[string]schemas.ScheduledInput{}
	o := order{known: map[string]schemas.ScheduledInput{}, roots: map[string][]string{}}
	for _, in := range all {
		o.known[in.Export.Name] = in
	}
	for _, in := range all {
		roots, err := o.rootsOf(in.Export.Name, nil)
		if err != nil {
			return nil, err
		}
		root := o.known[roots[0]]
		first[in.Export.Name] = root
		for _, name := range roots[1:] {
			if !reflect.DeepEqual(root.Timing, o.known[name].Timing) {
				return nil, access.No(schemas.ErrorBadExport, "export %q is after %q and %q, which do not start together (%s; %s); give them the same schedule, or put one after the other",
					in.Export.Name, roots[0], name, startWords(root), startWords(o.known[name]))
			}
		}
	}
	return first, nil
}

func startWords(in schemas.ScheduledInput) string {
	if in.Timing == nil {
		return schemas.ScheduleOff
	}
	return Words(*in.Timing)
}

// order is what is known of the order among exports.
type order struct {
	known map[string]schemas.ScheduledInput
	roots map[string][]string // the results of rootsOf
}

// rootsOf returns the exports that an export is after, directly or not, and that are after no
// other; itself if it is after none. They are sorted. path are the exports on the way to it.
func (o order) rootsOf(name string, path []string) ([]string, error) {
	if out := o.roots[name]; out != nil {
		return out, nil
	}
	if i := slices.Index(path, name); i >= 0 {
		circle := append(path[i:], name)
		for j := range circle {
			circle[j] = strconv.Quote(circle[j])
		}
		return nil, access.No(schemas.ErrorBadExport, "exports are after each other, so none of them could start: %s (after); remove one of the after", strings.Join(circle, " is after "))
	}
	after := o.known[name].Export.After
	if len(after) == 0 {
		o.roots[name] = []string{name}
		return o.roots[name], nil
	}
	var out []string
	for _, upstream := range after {
		if _, ok := o.known[upstream]; !ok {
			return nil, access.No(schemas.ErrorBadExport, "export %q is after %q, which is neither in the file nor applied%s",
				name, upstream, spelling.Guess(upstream, slices.Sorted(maps.Keys(o.known))))
		}
		more, err := o.rootsOf(upstream, append(path, name))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	slices.Sort(out)
	o.roots[name] = slices.Compact(out)
	return o.roots[name], nil
}

// mostMembers bounds a refresh, because its plan is one result of an activity.
const mostMembers = 500

// ReadRefresh returns which exports the refresh of an export runs now: those that are after
// it, and unless it is to be alone all that they are after. seen is called for each.
func (o *Operator) ReadRefresh(ctx context.Context, in schemas.RefreshRequest, seen func(export string)) (schemas.RefreshPlan, error) {
	plan := schemas.RefreshPlan{Leader: in.Export}
	found := map[string]*Applied{}
	type next struct{ name, after string }
	for queue := []next{{name: in.Export}}; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		if found[n.name] != nil {
			continue
		}
		seen(n.name)
		a, err := o.describe(ctx, schemas.ScheduleID(n.name))
		switch {
		case errors.Is(err, ErrNotApplied):
			continue
		case err != nil:
			return plan, err
		case a.Export.Name != n.name, n.after != "" && !slices.Contains(a.Export.After, n.after):
			continue // it was changed since
		}
		if found[n.name] = &a; len(found) > mostMembers {
			return plan, fmt.Errorf("the refresh of %q has more than %d exports", in.Export, mostMembers)
		}
		for _, follower := range a.Followers {
			queue = append(queue, next{follower, n.name})
		}
		if !in.Alone {
			for _, upstream := range a.Export.After {
				queue = append(queue, next{name: upstream})
			}
		}
	}
	led := in.Alone
	for _, name := range slices.Sorted(maps.Keys(found)) {
		a := found[name]
		plan.Members = append(plan.Members, schemas.RefreshMember{Export: name, After: a.Export.After, AfterFailure: a.Export.AfterFailure})
		if !led && a.Timing != nil && !a.Paused {
			plan.Leader, led = name, true
		}
	}
	return plan, nil
}

// Unfollowed refuses what would leave applied exports without one that they are after.
func (o *Operator) Unfollowed(ctx context.Context, a Applied) error {
	for _, name := range a.Followers {
		f, err := o.describe(ctx, schemas.ScheduleID(name))
		switch {
		case errors.Is(err, ErrNotApplied):
		case err != nil:
			return err
		case slices.Contains(f.Export.After, a.Export.Name):
			return access.No(schemas.ErrorConflict, "export %q is after %q and could not start any more; remove it first, or take %[2]q out of its after and apply that", name, a.Export.Name)
		}
	}
	return nil
}

// unfollow removes an export from the followers of those that it is after.
func (o *Operator) unfollow(ctx context.Context, e schemas.Export) error {
	for _, name := range e.After {
		a, err := o.describe(ctx, schemas.ScheduleID(name))
		if errors.Is(err, ErrNotApplied) {
			continue
		}
		if err != nil {
			return err
		}
		in := a.ScheduledInput
		in.Followers = slices.DeleteFunc(slices.Clone(in.Followers), func(f string) bool { return f == e.Name })
		if len(in.Followers) == len(a.Followers) {
			continue
		}
		if err := o.change(ctx, in); err != nil {
			return fmt.Errorf("change the schedule of %q, which %q was after: %w", name, e.Name, err)
		}
	}
	return nil
}
