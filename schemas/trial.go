package schemas

import (
	"fmt"
	"strings"
)

// Trial makes a run send a few profiles of a segment to a list of its own. It is in no file:
// starter run EXPORT --only and --limit make it.
type Trial struct {
	// People names the file of the data root with the addresses and user IDs that are tried;
	// empty tries everyone. Neither they nor hashes of them are in Temporal.
	People string `json:"people,omitempty"`
	// Limit is the most profiles that are sent: the first ones of the segment.
	Limit int64 `json:"limit"`
	// Of is the segment that is tried, with its Split or its ForEach and MaxLists if it has several
	// lists. The people of all its lists are tried, and those for none of them are left out.
	Of       string `json:"of,omitempty"`
	Split    *Split `json:"split,omitempty"`
	ForEach  string `json:"forEach,omitempty"`
	MaxLists int    `json:"maxLists,omitempty"`
}

// Divided returns the segment that is tried. ok reports whether it has several lists.
func (t Trial) Divided() (s Segment, ok bool) {
	s = Segment{Name: t.Of, Split: t.Split, ForEach: t.ForEach, MaxLists: t.MaxLists}
	return s, s.Divided()
}

// String returns what is tried, for people.
func (t Trial) String() string {
	if t.People != "" {
		return fmt.Sprintf("people named by who started it, at most %d", t.Limit)
	}
	return fmt.Sprintf("the first %d profiles", t.Limit)
}

// EndTrialInput names the people of a trial that has ended.
type EndTrialInput struct {
	Connection string `json:"connection"`
	Export     string `json:"export"`
	// People is Trial.People.
	People string `json:"people"`
}

// MostTried is the most profiles that one trial sends, and the most people that it can name.
const MostTried = 1000

// trialSuffix ends the names of trials. Other exports can't have such a name.
const trialSuffix = " (trial)"

// TrialName returns the name of the trials of an export, and the default name of the list for
// those of a segment.
func TrialName(name string) string { return name + trialSuffix }

// IsTrial reports whether the name of an export is that of trials.
func IsTrial(export string) bool { return strings.HasSuffix(export, trialSuffix) }

// TriedExport returns the export that the trials of that name try. ok reports whether it is the
// name of trials.
func TriedExport(name string) (export string, ok bool) { return strings.CutSuffix(name, trialSuffix) }

// Trial returns what the export tries, or nil if it is not a trial.
func (e Export) Trial() *Trial {
	for _, s := range e.Segments {
		if s.Trial != nil {
			return s.Trial
		}
	}
	return nil
}
