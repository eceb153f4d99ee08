package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/schemas"
)

// trialFlags select what a trial sends.
type trialFlags struct {
	only  []string
	limit int
	list  string
}

// define adds the flags.
func (t *trialFlags) define(c *cobra.Command) {
	p := c.Flags()
	p.StringSliceVar(&t.only, "only", nil, `try it with these addresses or user IDs, separated by commas, in a list of their own; "-" reads them from the standard input, one a line`)
	p.IntVar(&t.limit, "limit", 0, "try it with this many profiles, the first of the segment, in a list of their own")
	p.StringVar(&t.list, "list", "", `list for a trial; default the segment's name with " (trial)"`)
}

// request returns what to try, or nil if the flags don't ask for a trial.
func (t trialFlags) request(c *cobra.Command, f runFlags, segment string) (*gateway.TrialRequest, error) {
	set := c.Flags().Changed
	switch {
	case !set("only") && !set("limit") && !set("list"):
		return nil, nil
	case !set("only") && !set("limit"):
		return nil, usageError{errors.New("--list is for a trial; add --only or --limit")}
	case f.all || f.awaitData:
		return nil, usageError{errors.New("a trial is of one export, with the data that is there now; leave out --all and --wait-for-data")}
	case set("limit") && (t.limit < 1 || t.limit > schemas.MostTried):
		return nil, usageError{fmt.Errorf("--limit must be 1 to %d", schemas.MostTried)}
	}
	people := t.only
	if len(people) == 1 && people[0] == "-" {
		people = nil
		lines := bufio.NewScanner(io.LimitReader(c.InOrStdin(), 2<<20))
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" {
				people = append(people, line)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read the people to try: %w", err)
		}
	}
	if set("only") && len(people) == 0 {
		return nil, usageError{errors.New("--only has no address or user ID")}
	}
	return &gateway.TrialRequest{Segment: segment, Only: people, Limit: t.limit, List: t.list}, nil
}

// triedRow is what became of one row of a trial.
type triedRow struct {
	// Person is the address or else the user ID; empty if the person was forgotten in Iterable.
	// With recordIdentity: hash, it is the hash of people that --only does not name.
	Person  string          `json:"person"`
	Outcome schemas.Outcome `json:"outcome"`
	Reason  schemas.Reason  `json:"reason,omitempty"`
	// Answer explains both.
	Answer string `json:"answer"`
	// File and Row are where the row is in the segment; no file has a person who is absent.
	File string    `json:"file,omitempty"`
	Row  int64     `json:"row"`
	At   time.Time `json:"at,omitzero"`
}

// trialOutput is what a trial prints with -o json.
type trialOutput struct {
	Run  operate.View `json:"run"`
	Rows []triedRow   `json:"rows"`
	// More counts the rows that are not among Rows.
	More int `json:"more,omitempty"`
}

// try starts a trial, follows it, and prints what became of each row.
func (a *app) try(c *cobra.Command, o gateway.Service, in gateway.StartRequest, f runFlags) error {
	started, err := o.Start(c.Context(), in)
	if err != nil {
		return err
	}
	run := started.Run
	if f.detach || !f.wait {
		return a.showStarted(c, []operate.Run{run}, nil)
	}
	progress := console.NewProgress(c.ErrOrStderr())
	v, err := o.Watch(c.Context(), run, true, progress.See)
	progress.Close()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(c.ErrOrStderr(), "No longer following; the trial goes on. See: starter status %s\n", schemas.ShellWord(run.Export))
		return nil
	}
	if err != nil {
		return err
	}
	return a.showTrial(c, o, v, *in.Trial)
}

// mostOthers is how many rows that were not sent a trial with --limit prints.
const mostOthers = 10

// showTrial prints the result of a trial and returns the exit status for it.
func (a *app) showTrial(c *cobra.Command, o gateway.Service, v operate.View, trial gateway.TrialRequest) error {
	out := trialOutput{Run: v, Rows: []triedRow{}}
	recorded := len(v.Segments) > 0 && v.Segments[0].Report.Record != ""
	if recorded {
		named := byHash(trial.Only)
		err := eachRow(c.Context(), o, v.Run, func(r *rejects.Row) error {
			if len(out.Rows) == schemas.MostTried {
				out.More++
				return nil
			}
			out.Rows = append(out.Rows, triedOf(r, named, trial.Limit))
			return nil
		})
		if err != nil {
			return err
		}
	}
	if a.structured() {
		if err := a.encode(c.OutOrStdout(), out); err != nil {
			return err
		}
		return exit(v)
	}
	ended := a.showRuns(c, []operate.View{v})
	if a.output == outputName || !recorded {
		return ended
	}
	w := c.OutOrStdout()
	shown := out.Rows
	if len(trial.Only) == 0 {
		shown = fewOthers(shown)
		out.More += len(out.Rows) - len(shown)
	}
	var rows [][]string
	for _, r := range shown {
		rows = append(rows, []string{console.Printable(r.Person), string(r.Outcome), console.Printable(r.Answer), console.Stamp(r.At)})
	}
	fmt.Fprintln(w)
	if len(rows) == 0 {
		fmt.Fprintln(w, "The segment has no row to try.")
	} else {
		console.Table(w, []string{"person", "outcome", "answer", "time"}, rows)
	}
	if out.More > 0 {
		fmt.Fprintf(w, "… and %d more: starter record %s\n", out.More, v.Run.RunID)
	}
	return ended
}

// fewOthers returns the rows of a trial that were sent, and the first of the others. With
// --limit, all rows before the last one that can be sent are recorded, which can be many.
func fewOthers(all []triedRow) (shown []triedRow) {
	others := 0
	for _, r := range all {
		// What was sent without an answer has no time.
		if r.At.IsZero() && r.Outcome != schemas.OutcomeUnanswered {
			if others++; others > mostOthers {
				continue
			}
		}
		shown = append(shown, r)
	}
	return shown
}

// savedRecord is a record of rows in a file.
type savedRecord struct {
	*os.File
	size int64
}

func (s savedRecord) Size() int64 { return s.size }

// eachRow calls yield with each row of the record of a run. The record lies in a temporary file
// meanwhile: before the tenth profile that can be sent a segment may have millions that can't.
func eachRow(ctx context.Context, o gateway.Service, run operate.Run, yield func(*rejects.Row) error) error {
	file, err := os.CreateTemp("", "trial-")
	if err != nil {
		return fmt.Errorf("save the record of the trial: %w", err)
	}
	_ = os.Remove(file.Name()) // where the system allows it, nothing is left if this ends
	defer os.Remove(file.Name())
	defer file.Close()
	if err := o.Record(ctx, run, "", file); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("save the record of the trial: %w", err)
	}
	return rejects.ReadRows(ctx, savedRecord{file, info.Size()}, yield)
}

// byHash returns people, normalized, by the hash that a record with recordIdentity: hash has of
// them.
func byHash(people []string) map[string]string {
	out := map[string]string{}
	for _, person := range people {
		id := []byte(strings.TrimSpace(person))
		if address, reason := email.Normalize(id, nil, email.Options{AllowUnknownTLD: true}); reason == "" {
			id = address
		}
		sum := sha256.Sum256(id)
		out[hex.EncodeToString(sum[:])] = string(id)
	}
	return out
}

// triedOf returns a row of the record with its answer. Its person is called as the trial names
// them: a row has an address and a user ID. It copies the row's texts.
func triedOf(r *rejects.Row, named map[string]string, limit int) triedRow {
	is := func(id []byte) bool {
		sum := sha256.Sum256(id)
		return named[hex.EncodeToString(sum[:])] != ""
	}
	person := cmp.Or(string(r.Email), string(r.UserID), named[string(r.Person)], string(r.Person))
	if is(r.UserID) && !is(r.Email) {
		person = string(r.UserID)
	}
	out := triedRow{Person: person, Outcome: schemas.Outcome(strings.Clone(string(r.Outcome))), Reason: schemas.Reason(strings.Clone(string(r.Reason))), File: strings.Clone(r.File), Row: r.Row, At: r.At}
	switch {
	case r.Reason != "":
		out.Answer = r.Reason.Sentence()
	default:
		out.Answer = answers[r.Outcome]
		if r.Outcome == schemas.OutcomeFiltered && limit > 0 {
			out.Answer += fmt.Sprintf(", or it is after the %d of --limit", limit)
		}
	}
	return out
}

// answers explain the outcomes that come without a reason.
var answers = map[schemas.Outcome]string{
	schemas.OutcomeAdded:      "Iterable accepted the profile, and it is on the list",
	schemas.OutcomeUpdated:    "Iterable accepted the profile, and it is on the list since an earlier trial",
	schemas.OutcomeFiltered:   "not sent: the segment's condition or split leaves it out",
	schemas.OutcomeSuppressed: "not sent: the person is on a suppression list of the connection",
	schemas.OutcomeUnanswered: "sent, and Iterable did not say what became of it",
	schemas.OutcomeUnsent:     "not sent: the trial ended before",
	schemas.OutcomeAbsent:     "the segment does not have this person",
}
