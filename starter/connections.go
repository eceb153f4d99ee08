package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (a *app) connectionsCommand() *cobra.Command {
	return a.serviceCommand(&cobra.Command{
		Use:   "connections",
		Short: "List the connections and who may use them",
		Long: `List the connections and who may use them.

Administrators see each connection's address, limits (set in the file, or learned), users,
consent, exports and last check of its key, and whether the newest version of
connections.yaml is in force. Others see the names and types of the connections that are
shared with contributors.`,
		Example: `  starter connections
  starter connections -o json`,
		Args: exactly(0, "no arguments"),
	}, a.connections)
}

// connectionRow is a connection with the exports on it.
type connectionRow struct {
	schemas.ConnectionView
	Exports []operate.Connected `json:"exports,omitempty"`
}

func (a *app) connections(c *cobra.Command, o gateway.Service, _ []string) error {
	all, err := o.Connections(c.Context())
	if err != nil {
		return err
	}
	rows := make([]connectionRow, len(all.Connections))
	for i, v := range all.Connections {
		rows[i] = connectionRow{v, all.Exports[v.Name]}
	}
	out := connectionsOutput{Person: all.Person, Connections: rows, Broken: all.Broken}
	if all.Broken != "" {
		out.BrokenSince = &all.Since
	}
	if done, err := list(a, c.OutOrStdout(), out, rows, func(r connectionRow) string { return r.Name }); done || err != nil {
		return err
	}
	header := []string{"connection", "type"}
	admin := all.Person.Role == schemas.RoleAdministrator
	if admin {
		header = append(header, "address", "limits", "who may use it", "consent", "exports", "last check")
	}
	var table [][]string
	for _, r := range rows {
		line := []string{r.Name, r.ProjectType}
		if admin {
			line = append(line, address(r.ConnectionView), limitsText(r.Limits, r.Learned), strings.Join(r.Allowed, "\n"), consentText(r.Consent), exportsText(r.Exports), checkText(r.Check))
		}
		table = append(table, line)
	}
	console.Table(c.OutOrStdout(), header, table)
	if all.Broken != "" {
		fmt.Fprintf(c.ErrOrStderr(), "\nThe newest connections.yaml has errors and is not in force, since %s or earlier:\n%s\n", all.Since.Format(time.RFC3339), all.Broken)
	}
	return nil
}

func address(v schemas.ConnectionView) string {
	switch {
	case v.BaseURL != "":
		return v.BaseURL
	case v.Region != "":
		return v.Region
	}
	return schemas.RegionUS
}

// limitsText returns the limits of a project that its connection sets, and those that were
// learned. One that is pinned to a number is not learned.
func limitsText(set schemas.Limits, learned map[string]schemas.LearnedLimits) string {
	var parts, lines []string
	switch rate := set.RequestsPerSecond; {
	case rate > 0:
		parts = append(parts, rate.String()+" requests/s")
	case set.MaxRequestsPerSecond > 0:
		parts = append(parts, fmt.Sprintf("at most %g requests/s", set.MaxRequestsPerSecond))
	}
	switch size := set.SubscribersPerRequest; {
	case size > 0:
		parts = append(parts, size.String()+" profiles")
	case set.MaxSubscribersPerRequest > 0:
		parts = append(parts, fmt.Sprintf("at most %d profiles", set.MaxSubscribersPerRequest))
	}
	if len(parts) > 0 {
		lines = append(lines, "set: "+strings.Join(parts, " of "))
	}
	if set.MaxBodyBytes > 0 {
		lines = append(lines, fmt.Sprintf("set: at most %d bytes", set.MaxBodyBytes))
	}
	known := set.RequestsPerSecond > 0 && set.SubscribersPerRequest > 0
	for _, endpoint := range slices.Sorted(maps.Keys(learned)) {
		l, parts := learned[endpoint], []string{}
		if l.RequestsPerSecond > 0 && set.RequestsPerSecond == 0 {
			parts = append(parts, fmt.Sprintf("%.1f requests/s", l.RequestsPerSecond))
		}
		if l.Profiles > 0 && set.SubscribersPerRequest == 0 {
			parts = append(parts, fmt.Sprintf("largest accepted %d profiles", l.Profiles))
		}
		if len(parts) > 0 {
			lines, known = append(lines, endpoint+", learned: "+strings.Join(parts, ", ")), true
		}
	}
	if !known {
		lines = append(lines, "not learned yet")
	}
	return strings.Join(lines, "\n")
}

func consentText(r *schemas.ConsentRecord) string {
	if r == nil {
		return "none: nothing is sent"
	}
	by, on := console.Printable(r.By), schemas.Day(r.At)
	switch {
	case r.Withdrawn:
		return "disconnected by " + by + "\n" + on
	case r.File:
		return by + "\n" + on + ", in the file"
	}
	return by + "\n" + on
}

func exportsText(exports []operate.Connected) string {
	var names []string
	for _, e := range exports {
		switch {
		case e.Detached:
			names = append(names, e.Export+" (no connection)")
		case e.Paused:
			names = append(names, e.Export+" (paused)")
		default:
			names = append(names, e.Export)
		}
	}
	return strings.Join(names, "\n")
}

func checkText(k *schemas.ConnectionCheck) string {
	switch {
	case k == nil:
		return "never"
	case k.Error != "":
		return schemas.Day(k.At) + " failed\n" + k.Error
	}
	return fmt.Sprintf("%s ok\n%s", schemas.Day(k.At), console.Things(k.Lists, "list"))
}

func (a *app) connectCommand() *cobra.Command {
	var agree bool
	c := a.serviceCommand(&cobra.Command{
		Use:   "connect NAME",
		Short: "Agree to the transfer over a connection and check its key",
		Long: `Agree to the transfer over a connection and check its key.

NAME is a connection of the worker's connections.yaml. The command shows the data privacy
and compliance statement and asks for your agreement. The worker then checks that Iterable
accepts the key for reading and writing, and records in the data root who agreed, when and
to what. Until then nothing is sent over the connection. For administrators only.`,
		Example: `  starter connect marketing
  starter connect marketing --agree`,
		Args: exactly(1, "the NAME of a connection"),
	}, func(c *cobra.Command, o gateway.Service, args []string) error { return a.connect(c, o, args[0], agree) })
	c.Flags().BoolVar(&agree, "agree", false, "agree to the statement without being asked")
	return c
}

func (a *app) connect(c *cobra.Command, o gateway.Service, name string, agree bool) error {
	if err := mayConnect(c.Context(), o, name); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s\n\n", schemas.ConsentStatement)
	if !agree {
		if err := confirm(c, "--agree", "Do you agree, for connection %q?", name); err != nil {
			return err
		}
	}
	check, err := o.CheckConnection(c.Context(), name)
	if err != nil {
		return err
	}
	if check.Error != "" {
		return fmt.Errorf("the key of connection %q does not work, so nothing was recorded: %s", name, check.Error)
	}
	consent, err := o.Connect(c.Context(), name, gateway.ConnectRequest{Statement: schemas.ConsentStatementSHA256()})
	if err != nil {
		return err
	}
	return a.print(c, connectOutput{check, consent},
		"Iterable (%s) accepts the key: a project of type %s with %d lists and %d fields.\nConnected: %q, agreed to by %s at %s (statement %.12s).",
		consent.Host, check.ProjectType, check.Lists, check.Fields, name, consent.By, consent.At.Format(time.RFC3339), consent.SHA256)
}

// mayConnect refuses before a person reads the statement and agrees in vain. What may be done is
// decided elsewhere.
func mayConnect(ctx context.Context, o gateway.Service, name string) error {
	me, err := o.Me(ctx)
	if err != nil {
		return err
	}
	if p := me.Person; p.Role != schemas.RoleAdministrator {
		return fmt.Errorf("%s has the role %s, but this needs %s", p.Name, p.Role, schemas.RoleAdministrator)
	}
	all, err := o.Connections(ctx)
	if err != nil { // such as a damaged record of any connection, which a new consent may replace
		return ctx.Err()
	}
	if !slices.ContainsFunc(all.Connections, func(v schemas.ConnectionView) bool { return v.Name == name }) {
		_, err = o.CheckConnection(ctx, name) // says that it is unknown, and which one may be meant
	}
	return err
}

func (a *app) disconnectCommand() *cobra.Command {
	var detach bool
	c := a.serviceCommand(&cobra.Command{
		Use:   "disconnect NAME",
		Short: "Withdraw the consent to a connection",
		Long: `Withdraw the consent to a connection: from the next run on, nothing is sent over it. Runs
under way stop at their next check of the consent, and wait; starter cancel ends them. The
entry in connections.yaml and the lists in Iterable stay. starter connect NAME undoes it.
For administrators only.

The command refuses while exports have a schedule over the connection, and lists them.
With --detach their schedules are paused with the note "No connection" until starter move
moves them to another connection.`,
		Example: `  starter disconnect marketing
  starter disconnect marketing --detach`,
		Args: exactly(1, "the NAME of a connection"),
	}, func(c *cobra.Command, o gateway.Service, args []string) error {
		out, err := o.Disconnect(c.Context(), args[0], gateway.DisconnectRequest{Detach: detach})
		if err != nil {
			return err
		}
		text := fmt.Sprintf("Disconnected: no run sends over %q any more; those under way stop and wait.", args[0])
		var names []string
		for _, e := range out.Detached {
			names = append(names, strconv.Quote(e.Export))
		}
		if len(names) > 0 {
			text += "\nPaused until another connection is set: " + strings.Join(names, ", ")
		}
		return a.print(c, out, "%s", text)
	})
	c.Flags().BoolVar(&detach, "detach", false, "pause the exports on it")
	return c
}

func (a *app) whoamiCommand() *cobra.Command {
	return a.serviceCommand(&cobra.Command{
		Use:   "whoami",
		Short: "Show your name and role",
		Long: `Show your name and role. Through a gateway they come from your token. Without a gateway
you are an administrator, because you can reach Temporal.`,
		Example: "  starter whoami",
		Args:    exactly(0, "no arguments"),
	}, func(c *cobra.Command, o gateway.Service, _ []string) error {
		me, err := o.Me(c.Context())
		if err != nil {
			return err
		}
		text := console.Printable(me.Person.Name) + ", " + me.Person.Role
		if me.Person.Subject == "" {
			text += "\nNo token was needed: without a gateway, everyone who can reach Temporal is an administrator."
		}
		return a.print(c, me, "%s", text)
	})
}
