package schemas

import "time"

// Examination is what a worker says of itself when it is asked how it is.
type Examination struct {
	// Person is who asked.
	Person Person `json:"person"`
	// Version is the worker's.
	Version string `json:"version"`
	// Now is the worker's clock, and Started is Temporal's, when it began to look.
	Now     time.Time `json:"now"`
	Started time.Time `json:"started"`
	// DataRoot is the id that the worker found or left in the data root, by which
	// others tell whether theirs is the same one; empty where that failed, for the
	// reason that DataRootError says.
	DataRoot      string `json:"dataRoot,omitempty"`
	DataRootError string `json:"dataRootError,omitempty"`
	// DataRootURL is where it is, for administrators.
	DataRootURL string `json:"dataRootURL,omitempty"`
}

// Deployment is the content of DeploymentKey.
type Deployment struct {
	ID string `json:"id"`
}

// ExamineSourcesRequest asks whether the worker can read an export's segments.
type ExamineSourcesRequest struct {
	Export Export `json:"export"`
}

// ExamineSourcesAnswer says how each segment looks.
type ExamineSourcesAnswer struct {
	Segments []ExaminedSegment `json:"segments"`
}

// ExaminedSegment is what the footers of a segment's files say.
type ExaminedSegment struct {
	Segment string `json:"segment"`
	Source  string `json:"source"`
	Files   int    `json:"files"`
	Rows    int64  `json:"rows"`
	// Error says why a run could not read it; empty if it could.
	Error string `json:"error,omitempty"`
}
