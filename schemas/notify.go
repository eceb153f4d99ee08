package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Notify sends events of an export's runs to a webhook.
type Notify struct {
	// URL is the webhook's URL.
	URL NotifyURL `json:"url"`
	// On lists the events. Default: EventWaiting, EventFailed and EventOverdue.
	On []string `json:"on,omitempty"`
	// Format is NotifyJSON (the default: a Message, signed) or NotifySlack.
	Format string `json:"format,omitempty"`
}

// Events that a Notify may be on, and its formats.
const (
	EventWaiting = "waiting"
	EventFailed  = "failed"
	EventDone    = "done"
	// EventOverdue: a scheduled run has not begun in time, or no run was done for a whole
	// interval of the schedule. EventSlow: a run takes unusually long. EventRecovered: after
	// any of these, a run is done.
	EventOverdue   = "overdue"
	EventSlow      = "slow"
	EventRecovered = "recovered"

	NotifyJSON  = "json"
	NotifySlack = "slack"
)

// Wants reports whether the target wants an event.
func (n Notify) Wants(event string) bool {
	if len(n.On) == 0 {
		return event == EventWaiting || event == EventFailed || event == EventOverdue
	}
	return slices.Contains(n.On, event)
}

// NotifyURL is a URL, or the name of the worker's environment variable that holds it: the
// URL of a chat's webhook is a secret that must not be in a file or in Temporal.
type NotifyURL struct {
	URL string
	Env string
}

// NotifyEnvPrefix is the prefix of the variables that a NotifyURL may name, so that no
// contributor can make the worker send its other secrets.
const NotifyEnvPrefix = "NOTIFY_URL_"

// MarshalJSON writes the URL, or {"env": …}.
func (u NotifyURL) MarshalJSON() ([]byte, error) {
	if u.Env != "" {
		return json.Marshal(map[string]string{"env": u.Env})
	}
	return json.Marshal(u.URL)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (u *NotifyURL) UnmarshalJSON(data []byte) error {
	*u = NotifyURL{}
	if json.Unmarshal(data, &u.URL) == nil {
		return nil
	}
	var from struct {
		Env string `json:"env"`
	}
	if err := json.Unmarshal(data, &from); err != nil || from.Env == "" {
		return fmt.Errorf("url must be a URL, or {env: %sSOMETHING}", NotifyEnvPrefix)
	}
	u.Env = from.Env
	return nil
}

// Message is the body of a webhook in the format NotifyJSON. It holds names and
// counts, and no personal data.
type Message struct {
	// Type is "run." and the event, such as "run.failed".
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Event     `json:"data"`
}

// Event is what has happened to a run, or to one segment of it.
type Event struct {
	Event      string `json:"event"`
	Export     string `json:"export"`
	Connection string `json:"connection"`
	RunID      string `json:"runId"`
	// Segment is set where one segment waits.
	Segment string `json:"segment,omitempty"`
	// Message says what has happened, and Commands what to type.
	Message  string   `json:"message"`
	Commands []string `json:"commands,omitempty"`
	// Waiting is what a waiting run waits for.
	Waiting *Waiting `json:"waiting,omitempty"`
	// Late has the times of EventOverdue, EventSlow and EventRecovered.
	Late *Lateness `json:"late,omitempty"`
	// Segments are the results of a run that ended.
	Segments []EventSegment `json:"segments,omitempty"`
}

// EventSegment is the result of one segment.
type EventSegment struct {
	Segment string `json:"segment"`
	// Of is the divided segment that a list is of. Its rows are in the counts of both.
	Of       string `json:"of,omitempty"`
	State    string `json:"state"`
	ListID   int64  `json:"listId,omitempty"`
	Read     int64  `json:"read"`
	Sent     int64  `json:"sent"`
	Removed  int64  `json:"removed"`
	Rejected int64  `json:"rejected"`
	Error    string `json:"error,omitempty"`
}

// NotifyInput is the input of Notify: one event for one target.
type NotifyInput struct {
	To Notify `json:"to"`
	// ID is the same whenever the same message is sent again.
	ID string `json:"id"`
	// Refused is set for a run that was not let in. Its input may be forged, so only the
	// targets of the export as it was granted last get a message, with a fixed text.
	Refused bool    `json:"refused,omitempty"`
	Message Message `json:"message"`
}
