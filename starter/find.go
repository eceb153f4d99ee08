package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/people"
)

func (a *app) findCommand() *cobra.Command {
	var history, forget, yes bool
	c := &cobra.Command{
		Use:   "find PERSON",
		Short: "Show on which lists a person is, since when, and why not",
		Long: `Show on which lists exports have put the person with an address or a user ID, over all
exports. --history also reads each record of a run that is still kept. It shows since which run the
person is on each list and when they were last sent, why they are not on others, and what became
of them in each run. "-" reads the person from the standard input, so that they are not in the
shell's history. For administrators.

--forget removes the person from the data root after a deletion request: from snapshots, records,
rejects and examples of checks, of all exports. It shows what was where. Lists in Iterable and
sources stay as they are. The hashes by which suppressed and forgotten people are recognised stay
too. It can be repeated, and leaves out runs that have not finished: the status is 1 then.`,
		Example: `  starter find ann@example.com
  starter find ann@example.com --history
  starter find -
  starter find ann@example.com --forget`,
		Args: exactly(1, "one PERSON"),
	}
	c.Flags().BoolVar(&history, "history", false, "read the records of past runs too")
	c.Flags().BoolVar(&forget, "forget", false, "remove the person from the data root")
	c.Flags().BoolVar(&yes, "yes", false, "forget without asking")
	return a.serviceCommand(c, func(c *cobra.Command, o gateway.Service, args []string) error {
		person := args[0]
		switch {
		case yes && !forget:
			return usageError{errors.New("--yes goes with --forget")}
		case person == "-" && forget && !yes:
			return usageError{errors.New("with the person from the standard input, the question can't be answered: use --yes")}
		}
		if person == "-" {
			line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 4096)).ReadString('\n')
			if err != nil && err != io.EOF {
				return fmt.Errorf("read the person: %w", err)
			}
			person = strings.TrimSpace(line)
		}
		if forget {
			return a.forget(c, o, person, yes)
		}
		found, err := o.FindPerson(c.Context(), people.FindRequest{Person: person, History: history})
		if err != nil {
			return err
		}
		if a.structured() {
			return a.encode(c.OutOrStdout(), found)
		}
		console.Found(c.OutOrStdout(), found, history)
		return nil
	})
}
