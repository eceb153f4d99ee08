package schemas

import "time"

// RunRef names one segment's part of a run; every file of the data root that
// the run writes is found by it.
type RunRef struct {
	// Connection is the one that the export's name belongs to.
	Connection string `json:"connection"`
	Export     string `json:"export"`
	// RunID is the id of the RunExport execution.
	RunID   string `json:"runId"`
	Segment string `json:"segment"`
	// Deadline is how long an activity of the run may fail before the run waits for an
	// operator; 0 is forever.
	Deadline Duration `json:"deadline,omitempty"`
}

// Trigger says what started a run.
type Trigger struct {
	// Kind is TriggerPerson, TriggerSchedule or TriggerEvent.
	Kind string `json:"kind"`
	// Who is the person, or what sent the event.
	Who string `json:"who,omitempty"`
}

// Kinds of a Trigger.
const (
	TriggerPerson   = "person"
	TriggerSchedule = "schedule"
	TriggerEvent    = "event"
)

// Starter returns who or what started the run, in words.
func (t Trigger) Starter() string {
	if t.Who != "" {
		return t.Who
	}
	return "a " + t.Kind
}

// RunInput starts RunExport.
type RunInput struct {
	Export  Export  `json:"export"`
	Trigger Trigger `json:"trigger"`
	// Full ignores the snapshots and sends all profiles.
	Full bool `json:"full,omitempty"`
	// Check sends nothing and changes nothing, and reports what a run would do.
	Check bool `json:"check,omitempty"`
	// AwaitData makes a run that a person starts wait for its data as a scheduled one does,
	// and for files that do not exist yet.
	AwaitData bool `json:"awaitData,omitempty"`
	// Grant covers all of the above; nil if runs need none.
	Grant *Grant `json:"grant,omitempty"`
}

// SegmentProgress is the state of one segment of a run.
type SegmentProgress struct {
	Segment    string `json:"segment"`
	WorkflowID string `json:"workflowId"`
	State      string `json:"state"`
}

// RunProgress is the answer of RunExport to QueryProgress.
type RunProgress struct {
	Export   string            `json:"export"`
	RunID    string            `json:"runId"`
	Trigger  Trigger           `json:"trigger"`
	State    string            `json:"state"`
	Waiting  *Waiting          `json:"waiting,omitempty"`
	Segments []SegmentProgress `json:"segments,omitempty"`
	Answers  []Answered        `json:"answers,omitempty"`
	Result   *RunResult        `json:"result,omitempty"`
}

// RunResult is what RunExport returns.
type RunResult struct {
	Connection string         `json:"connection,omitempty"`
	Export     string         `json:"export"`
	RunID      string         `json:"runId"`
	Segments   []ExportReport `json:"segments"`
	// Answers are the waits of the run as a whole that were answered, in order.
	Answers []Answered `json:"answers,omitempty"`
	// Report is the key of the readable report in the data root.
	Report string `json:"report,omitempty"`
}

// Skipped returns how many segments were skipped because their data was not ready.
func (r RunResult) Skipped() (n int) {
	for _, s := range r.Segments {
		if s.State == StateSkipped {
			n++
		}
	}
	return n
}

// State returns the state of a run that ended in state as far as its segments count: a run
// that is done, but has skipped every segment, is skipped.
func (r RunResult) State(state string) string {
	if state == StateDone && len(r.Segments) > 0 && r.Skipped() == len(r.Segments) {
		return StateSkipped
	}
	return state
}

// SegmentInput starts ExportSegment.
type SegmentInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"` // with Segments left out
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	Full       bool           `json:"full,omitempty"`
	Check      bool           `json:"check,omitempty"`
	// Scheduled is set if no person has started the run.
	Scheduled bool `json:"scheduled,omitempty"`
	// AwaitData is the RunInput's.
	AwaitData bool `json:"awaitData,omitempty"`
	// SearchAttributes is set if the run may set them.
	SearchAttributes bool `json:"searchAttributes,omitempty"`
	// Warnings are of the run as a whole.
	Warnings []string `json:"warnings,omitempty"`
	// Resume is set when the run continues in a new execution, with a fresh history.
	Resume *SegmentResume `json:"resume,omitempty"`
	// Part is set if the segment is a part of a divided one.
	Part *PartInput `json:"part,omitempty"`
}

// SegmentResume is where a long upload continues in a new execution.
type SegmentResume struct {
	Report ExportReport `json:"report"`
	Info   SegmentInfo  `json:"info"`
	List   ListRef      `json:"list"`
	// Fields are the mapped fields.
	Fields []MappedField `json:"fields,omitempty"`
	// Removed and Added are the batches of removes.arrow and adds.arrow that
	// are done.
	Removed int `json:"removed"`
	Added   int `json:"added"`
}

// Answer is the argument of the updates of a waiting run.
type Answer struct {
	// Wait is the ID of the wait that is answered.
	Wait string `json:"wait,omitempty"`
	// Who returns the answer.
	Who string `json:"who,omitempty"`
}

// Waiting describes what a run waits for.
type Waiting struct {
	// ID identifies this wait of this workflow execution. An answer must name it.
	ID      string    `json:"id"`
	Step    string    `json:"step"`
	Type    ErrorType `json:"type"`
	Message string    `json:"message"`
	// Answers are the updates that end the wait.
	Answers []string  `json:"answers"`
	Since   time.Time `json:"since"`
}

// Command returns the command that answers a waiting run; starter is the program's name.
func (w Waiting) Command(starter, export, answer string) string {
	return starter + " " + answer + " " + ShellWord(export) + " --wait " + w.ID
}

// Progress is the answer of ExportSegment to QueryProgress.
type Progress struct {
	Run     RunRef   `json:"run"`
	State   string   `json:"state"`
	Step    string   `json:"step"`
	Waiting *Waiting `json:"waiting,omitempty"`
	// Data is what the segment's run waits for, nil if its data is ready.
	Data *DataWait `json:"data,omitempty"`
	// Report holds what is known so far.
	Report ExportReport `json:"report"`
}
