package schemas

// Staged is what Temporal's histories have of one staging of a segment.
type Staged struct {
	// Attempt names the staged files, and Version is the number of the snapshot that they
	// were compared with.
	Attempt string
	Version int64
	// Sending reports whether they may have been sent, Sent whether some were, Committed
	// whether a snapshot was published after that, and Closed whether the run ended early and
	// cleaned up.
	Sending, Sent, Committed, Closed bool
}
