package console

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Starts prints what the schedules mean, those that are equal once.
func Starts(w io.Writer, steps []operate.Step, now time.Time) {
	var texts []string
	exports := map[string][]string{}
	for _, s := range steps {
		if s.Outlook == nil {
			continue
		}
		text := s.Outlook.Words + "\n"
		if len(s.Outlook.Next) > 0 {
			text += "    next " + strings.Join(operate.Starts(schemas.Timing{TimeZone: s.Outlook.TimeZone}, s.Outlook.Next, now), ", ") + "\n"
		} else if !s.Outlook.Follows {
			text += "    ! when it starts next is not known: " + s.Outlook.Unknown + "\n"
		}
		for _, warning := range s.Outlook.Warnings {
			text += "    ! " + warning + "\n"
		}
		if exports[text] == nil {
			texts = append(texts, text)
		}
		exports[text] = append(exports[text], strconv.Quote(s.Export))
	}
	for _, text := range texts {
		fmt.Fprintf(w, "Starts of %s: %s", few(exports[text]), text)
	}
}

// few returns the first of some names, and how many more there are.
func few(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		names = append(names[:most:most], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// Plan prints a plan like a diff and returns the number of steps that change something.
func Plan(w io.Writer, steps []operate.Step) (changes int) {
	sign := map[string]string{operate.VerbCreate: "+", operate.VerbChange: "~", operate.VerbRemove: "-"}
	unchanged, unforeseen := 0, map[string][]string{}
	for _, s := range steps {
		if s.Verb == operate.VerbUnchanged {
			continue
		}
		unforeseen[s.Unforeseen] = append(unforeseen[s.Unforeseen], strconv.Quote(s.Export))
	}
	for _, s := range steps {
		switch s.Verb {
		case operate.VerbUnchanged:
			unchanged++
			continue
		case operate.VerbKeep:
			fmt.Fprintf(w, "  keep %q, which is not in the file; --prune removes it\n", s.Export)
			continue
		}
		changes++
		fmt.Fprintf(w, "%s %s %q\n", sign[s.Verb], s.Verb, s.Export)
		for _, ch := range s.Changes {
			if ch.Old != "" {
				fmt.Fprintf(w, "    - %s: %s\n", ch.Setting, Printable(ch.Old))
			}
			if ch.New != "" {
				fmt.Fprintf(w, "    + %s: %s\n", ch.Setting, Printable(ch.New))
			}
		}
		if s.SentAgain {
			why, setting := cmp.Or(s.SentAgainWhy, "the mapped fields change"), " (fullRuns)"
			if why == schemas.FullRunDue {
				setting = ""
			}
			fmt.Fprintf(w, "    ! %s: the next run sends all profiles again, which can start journeys in Iterable%s\n", Printable(why), setting)
		}
		if len(s.NewFields) > 0 {
			fmt.Fprintf(w, "    ! the next run creates %s in Iterable, where a field can't be removed (newFields)\n", Printable(schemas.FieldNames(s.NewFields)))
		}
		if s.Error != "" {
			fmt.Fprintf(w, "    ! this can't be applied: %s\n", Printable(s.Error))
		}
		if s.Unforeseen != "" && len(unforeseen[s.Unforeseen]) == 1 {
			fmt.Fprintf(w, "    ! %s\n", Printable(s.Unforeseen))
		}
	}
	for _, text := range slices.Sorted(maps.Keys(unforeseen)) {
		if of := unforeseen[text]; text != "" && len(of) > 1 {
			fmt.Fprintf(w, "! %s: %s\n", few(of), Printable(text))
		}
	}
	if changes == 0 {
		fmt.Fprintln(w, "No changes.")
	} else if unchanged > 0 {
		fmt.Fprintf(w, "  %d unchanged\n", unchanged)
	}
	return changes
}
