package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (a *app) connectionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "connections",
		Short: "List the connections, and who may use them",
		Long: `List the connections, and who may use them.

Administrators see where each leads to, who may use it, who agreed to the transfer,
the exports that have a schedule over it, what the last check of its key found, and
whether the newest version of connections.yaml is in force. Others see the names and
types of the connections that are shared with contributors.`,
		Example: `  starter connections
  starter connections -o json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			return a.connections(c, o)
		},
	}
}

// connectionRow is a connection with the exports on it.
type connectionRow struct {
	schemas.ConnectionView
	Exports []operate.Connected `json:"exports,omitempty"`
}

func (a *app) connections(c *cobra.Command, o gateway.Service) error {
	all, err := o.Connections(c.Context())
	if err != nil {
		return err
	}
	admin := all.Person.Role == schemas.RoleAdministrator
	rows := make([]connectionRow, len(all.Connections))
	for i, v := range all.Connections {
		rows[i] = connectionRow{v, all.Exports[v.Name]}
	}
	if a.output == "json" {
		out := map[string]any{"person": all.Person, "connections": rows}
		if all.Broken != "" {
			out["broken"], out["brokenSince"] = all.Broken, all.Since
		}
		return printJSON(c.OutOrStdout(), out)
	}
	tellConnections(c, rows, admin)
	if all.Broken != "" {
		fmt.Fprintf(c.ErrOrStderr(), "\nThe newest connections.yaml is broken and not in force, since %s at the latest:\n%s\n", all.Since.Format(time.RFC3339), all.Broken)
	}
	return nil
}

func tellConnections(c *cobra.Command, rows []connectionRow, admin bool) {
	header := []string{"connection", "type"}
	if admin {
		header = append(header, "leads to", "limits", "who may use it", "consent", "exports", "last check")
	}
	var table [][]string
	for _, r := range rows {
		line := []string{r.Name, r.ProjectType}
		if admin {
			line = append(line, leadsTo(r.ConnectionView), limitsText(r.Learned), strings.Join(r.Allowed, "\n"), consentText(r.Consent), exportsText(r.Exports), checkText(r.Check))
		}
		table = append(table, line)
	}
	console.Table(c.OutOrStdout(), header, table)
}

func leadsTo(v schemas.ConnectionView) string {
	if v.BaseURL != "" {
		return v.BaseURL
	}
	if v.Region == "" {
		return schemas.RegionUS
	}
	return v.Region
}

// limitsText is what was learned of a project's limits.
func limitsText(learned map[string]schemas.LearnedLimits) string {
	var lines []string
	for _, endpoint := range slices.Sorted(maps.Keys(learned)) {
		l := learned[endpoint]
		parts := []string{}
		if l.RequestsPerSecond > 0 {
			parts = append(parts, fmt.Sprintf("%.1f requests/s", l.RequestsPerSecond))
		}
		if l.Profiles > 0 {
			parts = append(parts, fmt.Sprintf("%d profiles", l.Profiles))
		}
		if len(parts) > 0 {
			lines = append(lines, endpoint+": "+strings.Join(parts, " of "))
		}
	}
	if len(lines) == 0 {
		return "not learned yet"
	}
	return strings.Join(lines, "\n")
}

func consentText(r *schemas.ConsentRecord) string {
	switch {
	case r == nil:
		return "none: nothing is sent"
	case r.Withdrawn:
		return "disconnected by " + console.Printable(r.By) + "\n" + r.At.Format(time.DateOnly)
	case r.File:
		return console.Printable(r.By) + "\n" + r.At.Format(time.DateOnly) + ", in the file"
	}
	return console.Printable(r.By) + "\n" + r.At.Format(time.DateOnly)
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
		return k.At.Format(time.DateOnly) + " failed\n" + k.Error
	}
	return fmt.Sprintf("%s ok\n%d lists", k.At.Format(time.DateOnly), k.Lists)
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Say who you are taken for",
		Long: `Say who you are taken for: name and role. Through a gateway that is what your token
says; who reaches Temporal itself is an administrator.`,
		Example: "  starter whoami",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			me, err := o.Me(c.Context())
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), me)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s, %s\n", console.Printable(me.Person.Name), me.Person.Role)
			if me.Person.Subject == "" {
				fmt.Fprintln(c.OutOrStdout(), "Nobody was asked for a token: who reaches Temporal itself is an administrator.")
			}
			return nil
		},
	}
}
