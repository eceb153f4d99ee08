package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
)

func (a *app) auditCommand() *cobra.Command {
	var since string
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what",
		Long: `Show who did what: connected, applied, ran, approved with which numbers, retried, aborted,
cancelled, paused, moved, removed, searched for a person, or read rejected rows. Runs that a
schedule or Temporal itself started are included. It names no person of a segment. Lines of the
trail that can't be read are shown as damaged. JSON has one object per line, YAML one document
per entry. For administrators.`,
		Example: `  starter audit
  starter audit --since 2026-03-01
  starter audit --since 24h -o json`,
		Args: exactly(0, "no arguments"),
	}
	c.Flags().StringVar(&since, "since", "720h", "a day such as 2026-03-01 (UTC), or how long ago, such as 24h")
	return a.serviceCommand(c, func(c *cobra.Command, o gateway.Service, _ []string) error {
		from, err := sinceTime(since, time.Now())
		if err != nil {
			return usageError{err}
		}
		entries, err := o.Audit(c.Context(), from)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, e := range entries {
			if write := formatOne[a.output]; write != nil {
				if err := write(c.OutOrStdout(), e); err != nil {
					return err
				}
				continue
			}
			to := strings.Trim(e.Export+" / "+e.Segment, "/ ")
			if to == "" {
				to = e.Connection
			}
			rows = append(rows, []string{console.Stamp(e.At), console.Printable(e.Who), string(e.What), console.Printable(to), console.Printable(e.Details), e.RunID})
		}
		switch {
		case a.structured():
		case len(rows) == 0:
			fmt.Fprintln(c.OutOrStdout(), "Nothing is recorded since then.")
		default:
			console.Table(c.OutOrStdout(), []string{"time", "who", "what", "to what", "details", "run"}, rows)
		}
		return nil
	})
}

// sinceTime reads a day or a length of time before now.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("invalid --since %q: write a day such as 2026-03-01, or a length of time such as 24h", text)
	}
	return now.Add(-d), nil
}
