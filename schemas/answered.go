package schemas

import (
	"fmt"
	"time"
)

// Answered is a wait with the answer that ended it.
type Answered struct {
	// Answer is one of the Update names, and Who gave it.
	Answer string    `json:"answer"`
	Who    string    `json:"who,omitempty"`
	At     time.Time `json:"at"`
	// Step, Type and Message are those of the Waiting.
	Step    string    `json:"step"`
	Type    ErrorType `json:"type"`
	Message string    `json:"message"`
}

// String returns who decided what, and about which message.
func (a Answered) String() string {
	done := map[string]string{UpdateApprove: "approved", UpdateRetry: "retried", UpdateAbort: "aborted"}[a.Answer]
	who := a.Who
	if who == "" {
		who = "an unknown person"
	}
	return fmt.Sprintf("%s by %s at %s: %s", done, who, Moment(a.At), a.Message)
}
