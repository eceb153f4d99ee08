package schemas

import (
	"cmp"
	"time"
)

// Ready says when the data of a segment is complete and new enough to be sent. A run waits
// for that by itself.
type Ready struct {
	// Settle is how long no file may have changed. It is not needed for tables, which are
	// always complete, nor for files that a Marker is newer than. Not set: DefaultSettle
	// for runs that no person started or that wait for data, 0 for others.
	Settle *Duration `json:"settle,omitempty"`
	// Marker is the name, or a pattern for it, of a file that is written when the others
	// are complete, such as _SUCCESS. It lies in the source's folder. {date} stands for the
	// day on which the run started, as in 2026-01-31, in TimeZone.
	Marker   string `json:"marker,omitempty"`
	TimeZone string `json:"timeZone,omitempty"`
	// NewerThan is NewerThanLastRun, or empty.
	NewerThan string `json:"newerThan,omitempty"`
	// MaxAge is how old the newest file may be; 0 is any age.
	MaxAge Duration `json:"maxAge,omitempty"`
	// WaitFor is how long to wait, default DefaultWaitFor. Then says what happens
	// afterwards: ThenAsk (the default), ThenSkip or ThenRun.
	WaitFor Duration `json:"waitFor,omitempty"`
	Then    string   `json:"then,omitempty"`
	// Leftovers says what happens to files that a larger export has left behind:
	// LeftoversWarn (the default), LeftoversAsk or LeftoversIgnore.
	Leftovers string `json:"leftovers,omitempty"`
	// OnChange says what happens if the files change while they are read: ChangeAsk (the
	// default) or ChangeRestart.
	OnChange string `json:"onChange,omitempty"`
}

// Defaults of Ready. They are this project's choice: writers seldom pause for two minutes
// between the files of one export, and two hours bridge a late job.
const (
	DefaultSettle  = 2 * time.Minute
	DefaultWaitFor = 2 * time.Hour
)

// Values of the settings of Ready.
const (
	NewerThanLastRun = "lastRun"

	ThenAsk  = "ask"
	ThenSkip = "skip"
	ThenRun  = "run"

	LeftoversWarn   = "warn"
	LeftoversAsk    = "ask"
	LeftoversIgnore = "ignore"

	ChangeAsk     = "ask"
	ChangeRestart = "restart"
)

// MostRestarts is how often a run starts over by itself after its files have changed.
const MostRestarts = 3

// RetryWhenComplete ends the messages of type ErrorSegmentChanged.
const RetryWhenComplete = "; retry when the segment is complete"

// ReadyFor returns the settings for a segment of the export: the segment's own, and the
// export's for the others.
func (e Export) ReadyFor(s Segment) Ready {
	own, of := s.Ready, e.Ready
	if own.Settle == nil {
		own.Settle = of.Settle
	}
	own.Marker = cmp.Or(own.Marker, of.Marker)
	own.TimeZone = cmp.Or(own.TimeZone, of.TimeZone)
	own.NewerThan = cmp.Or(own.NewerThan, of.NewerThan)
	own.MaxAge = cmp.Or(own.MaxAge, of.MaxAge)
	own.WaitFor = cmp.Or(own.WaitFor, of.WaitFor)
	own.Then = cmp.Or(own.Then, of.Then)
	own.Leftovers = cmp.Or(own.Leftovers, of.Leftovers)
	own.OnChange = cmp.Or(own.OnChange, of.OnChange)
	return own
}

// Wanted says what the data of a segment must be like to be read.
type Wanted struct {
	Ready Ready `json:"ready"`
	// Settle is the resolved Ready.Settle.
	Settle Duration `json:"settle,omitempty"`
	// Began is when the run began to look.
	Began time.Time `json:"began"`
	// Missing makes missing files unready data, and not an error.
	Missing bool `json:"missing,omitempty"`
	// Listing is the Unready.Listing of the last look, and Quiet how long it has been the
	// same.
	Listing string   `json:"listing,omitempty"`
	Quiet   Duration `json:"quiet,omitempty"`
}

// Unready says why the data of a segment can't be read yet.
type Unready struct {
	// Why is a sentence for people, with names of files.
	Why string `json:"why"`
	// Listing changes when a file does.
	Listing string `json:"listing,omitempty"`
	// SettledAt is when the data is ready if nothing changes until then; zero if something
	// has to change.
	SettledAt time.Time `json:"settledAt,omitzero"`
	// Unreadable reports whether a file can't be read. If that is so at the end of the wait,
	// it is an error of its own.
	Unreadable bool `json:"unreadable,omitempty"`
}

// DataWait is the wait of a segment's run for its data.
type DataWait struct {
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
	// Until is when the wait ends, and Then what happens if the data is not ready by then.
	Until time.Time `json:"until"`
	Then  string    `json:"then"`
}

// Afterwards completes a sentence about a run whose data is not ready at the end of the
// wait.
func (w DataWait) Afterwards() string {
	switch w.Then {
	case ThenSkip:
		return "skips the segment"
	case ThenRun:
		return "reads what is there"
	}
	return "asks what to do"
}
