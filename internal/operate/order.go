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

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

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

// lastFirst returns the names of exports in an order in which each is before those that it is
// after.
func lastFirst(all []schemas.ScheduledInput) (names []string) {
	after, seen := followers(all), map[string]bool{}
	known := map[string]bool{}
	for _, in := range all {
		known[in.Export.Name] = true
	}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] || !known[name] {
			return
		}
		seen[name] = true
		for _, f := range after[name] {
			visit(f)
		}
		names = append(names, name)
	}
	for _, in := range all {
		visit(in.Export.Name)
	}
	return names
}

// checkOrder refuses exports that can't be refreshed in order: after one that does not exist,
// after each other, after several that start at different times, or too many. It returns the first of
// the exports that each one is after in the end.
func checkOrder(all []schemas.ScheduledInput) (first map[string]schemas.ScheduledInput, err error) {
	first = map[string]schemas.ScheduledInput{}
	o := order{known: map[string]schemas.ScheduledInput{}, roots: map[string][]string{}}
	together := map[string][]string{}
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
		for _, name := range roots {
			together[name] = append(together[name], in.Export.Name)
		}
		for _, name := range roots[1:] {
			if !reflect.DeepEqual(root.Timing, o.known[name].Timing) {
				return nil, access.No(schemas.ErrorBadExport, "export %q is after %q and %q, which do not start together (%s; %s); give them the same schedule, or put one after the other",
					in.Export.Name, roots[0], name, startWords(root), startWords(o.known[name]))
			}
		}
	}
	return first, o.tooMany(all, together)
}

// tooMany refuses more exports in one refresh than its plan may have. together has, by the
// first export, those that are after it in the end, and itself.
func (o order) tooMany(all []schemas.ScheduledInput, together map[string][]string) error {
	seen := map[string]bool{}
	for _, in := range all {
		n := 0
		for queue := []string{in.Export.Name}; len(queue) > 0; queue = queue[1:] {
			if seen[queue[0]] {
				continue
			}
			seen[queue[0]] = true
			n++
			queue = append(append(queue, o.roots[queue[0]]...), together[queue[0]]...)
		}
		if n > mostMembers {
			return access.No(schemas.ErrorBadExport, "%d exports would start together with %q, and one refresh has at most %d; take some out of the order (after), with a schedule of their own",
				n, in.Export.Name, mostMembers)
		}
	}
	return nil
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
func (o *Session) ReadRefresh(ctx context.Context, in schemas.RefreshRequest, seen func(export string)) (schemas.RefreshPlan, error) {
	plan := schemas.RefreshPlan{Leader: in.Export}
	if in.At != "" {
		var err error
		if plan.Later, err = o.laterRefresh(ctx, in); plan.Later != "" || err != nil {
			return plan, err
		}
	}
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
			return plan, temporal.NewNonRetryableApplicationError(fmt.Sprintf("the refresh of %q has more than %d exports; take some out of the order (after), and apply that", in.Export, mostMembers), schemas.ErrorBadExport, nil)
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
	led, held := in.Alone, ""
	for _, name := range slices.Sorted(maps.Keys(found)) {
		a := found[name]
		plan.Members = append(plan.Members, schemas.RefreshMember{Export: name, After: a.Export.After, AfterFailure: a.Export.AfterFailure})
		switch {
		case led, a.Timing == nil, a.Stopped:
		case !a.Paused:
			plan.Leader, led = name, true
		case held == "":
			held = name
		}
	}
	if !led && held != "" {
		plan.Leader = held
	}
	return plan, nil
}

// laterRefresh returns the ID of a refresh under way that the same schedule has started for a
// later time, empty if there is none: after an outage all missed ones start at once.
func (o *Session) laterRefresh(ctx context.Context, in schemas.RefreshRequest) (string, error) {
	id := schemas.RefreshWorkflowID(in.Export)
	list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: o.Namespace,
		Query:     fmt.Sprintf("WorkflowType = %q AND ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH %q", schemas.WorkflowRefresh, id+"-"),
	})
	if err != nil {
		return "", fmt.Errorf("list the refreshes of %q: %w", in.Export, err)
	}
	for _, e := range list.Executions {
		other := e.Execution.WorkflowId
		at := schemas.StartTime(other)
		if e.ParentExecution == nil && other == id+at && at > in.At { // a refresh for news has a parent
			return other, nil
		}
	}
	return "", nil
}

// Unfollowed refuses what would leave applied exports without one that they are after.
func (o *Session) Unfollowed(ctx context.Context, a Applied) error {
	all, err := o.Following(ctx, a)
	if err != nil || len(all) == 0 {
		return err
	}
	return access.No(schemas.ErrorConflict, "export %q is after %q and could not start any more; remove it first, or take %[2]q out of its after and apply that", all[0].Export.Name, a.Export.Name)
}

// Following returns the applied exports that are after one, directly.
func (o *Session) Following(ctx context.Context, a Applied) (all []Applied, err error) {
	for _, name := range a.Followers {
		f, err := o.describe(ctx, schemas.ScheduleID(name))
		switch {
		case errors.Is(err, ErrNotApplied):
		case err != nil:
			return nil, err
		case f.Export.Name == name && slices.Contains(f.Export.After, a.Export.Name):
			all = append(all, f)
		}
	}
	return all, nil
}

// unfollow removes an export from the followers of those that it is after.
func (o *Session) unfollow(ctx context.Context, e schemas.Export) error {
	for _, name := range e.After {
		err := o.relink(ctx, name, func(now []string) ([]string, error) {
			return slices.DeleteFunc(now, func(f string) bool { return f == e.Name }), nil
		})
		if err != nil && !errors.Is(err, ErrNotApplied) {
			return fmt.Errorf("change the schedule of %q, which %q was after: %w", name, e.Name, err)
		}
	}
	return nil
}

// relink changes only which exports are after one, from those that its schedule has by then.
func (o *Session) relink(ctx context.Context, export string, next func(now []string) ([]string, error)) error {
	err := o.edit(ctx, export, func(in schemas.ScheduledInput, _ *client.ScheduleState) (schemas.ScheduledInput, error) {
		if in.Export.Name != export {
			return in, ErrNotApplied
		}
		before := in.Followers
		var err error
		if in.Followers, err = next(slices.Clone(before)); err == nil && slices.Equal(in.Followers, before) {
			err = temporal.ErrSkipScheduleUpdate
		}
		return in, err
	})
	if absent(err) {
		return ErrNotApplied
	}
	return err
}

// applyLinks relinks an export as a step wants it. A follower that is still after the export
// stays, because its own step was refused or has failed: without the link nothing would start it.
func (o *Session) applyLinks(ctx context.Context, s Step) error {
	var kept []string
	err := o.relink(ctx, s.Export, func(now []string) (_ []string, err error) {
		kept, err = o.stillAfter(ctx, s.Export, now, s.want.Followers)
		return slices.Sorted(slices.Values(append(slices.Clone(kept), s.want.Followers...))), err
	})
	if err == nil && len(kept) > 0 {
		err = access.No(schemas.ErrorConflict, "export %q is still after it, so it still starts that one; apply the file again when that export can be changed", kept[0])
	}
	return err
}

// stillAfter returns those of the followers that are not wanted, and that are applied and after
// the export nevertheless.
func (o *Session) stillAfter(ctx context.Context, export string, followers, wanted []string) (kept []string, err error) {
	unwanted := slices.DeleteFunc(slices.Clone(followers), func(f string) bool { return slices.Contains(wanted, f) })
	all, err := o.Following(ctx, Applied{ScheduledInput: schemas.ScheduledInput{Export: schemas.Export{Name: export}, Followers: unwanted}})
	for _, f := range all {
		kept = append(kept, f.Export.Name)
	}
	return kept, err
}
