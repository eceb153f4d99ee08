package sandbox

import (
	"cmp"
	"net/http"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// Defaults of a Config. The rate is the documented one of users/bulkUpdate.
const (
	DefaultKey     = "sandbox-key"
	DefaultRate    = 5
	DefaultNewList = 10 * time.Second
	DefaultLag     = time.Minute
)

// ProjectType is the identifier of profiles in a project.
type ProjectType string

// The project types.
const (
	EmailProject  ProjectType = "email"
	UserIDProject ProjectType = "userID"
	HybridProject ProjectType = "hybrid"
)

// KeyType is the permissions of an API key.
type KeyType string

// The key types. A read-only key may only GET. A key of any other type, such as JavaScript,
// may not use any endpoint here.
const (
	ServerKey   KeyType = "server"
	ReadOnlyKey KeyType = "readOnly"
)

// Config configures a Server. The zero value is an email-based project with the key
// DefaultKey. It behaves like the real service: slow, limited and eventually consistent.
type Config struct {
	// Project defaults to EmailProject.
	Project ProjectType
	// Keys are the API keys with their types.
	Keys map[string]KeyType
	// Fast turns off the defaults of Rate, NewList and Lag, the documented limits
	// of the other endpoints and their timeouts: for tests with another purpose.
	Fast bool
	// Rate is the requests per second for each of subscribe and unsubscribe; 0 is the
	// default, and a negative rate is unlimited.
	Rate float64
	// Burst is the maximum number of requests at once after a pause; 0 is that of one
	// second at the rate, at least 1.
	Burst int
	// Latency delays every API answer. PerProfile adds to it for each subscriber in the
	// request.
	Latency, PerProfile time.Duration
	// MaxSubscribers is the maximum number of rows in a request, above which the answer
	// is 400 BatchTooLarge; 0 is unlimited.
	MaxSubscribers int
	// Fields are the initial fields of the project, name to type.
	Fields map[string]string
	// DropUnknownFields drops unknown fields instead of creating them.
	DropUnknownFields bool
	// RefuseMismatches answers a request that has a value of another type than its field
	// with 400 RequestFieldsTypesMismatched. Without it only the row fails, in
	// failedUpdates.
	RefuseMismatches bool
	// NewList is how long subscribe and unsubscribe do not know a new list: a random time
	// up to it, or that time if Exactly is set. 0 is the default, and a negative one means at once.
	NewList time.Duration
	// Lag is how long lists/{id}/size and getUsers do not show a change, like NewList.
	Lag time.Duration
	// Exactly makes NewList and Lag exact times.
	Exactly bool
	// RefuseTwins answers the creation of a list whose name is taken with 400, and
	// TrimNames cuts white space around a new list's name.
	RefuseTwins, TrimNames bool
	// KeepData keeps each profile's dataFields, merged as Iterable does, for
	// GET /api/users/{email}.
	KeepData bool
	// DataDir is the folder where Open stores the lists and profiles; if it is empty, they
	// are only in memory. New does not use it.
	DataDir string
	// FirstListID is the ID of the first list; 0 is 1.
	FirstListID int64
	// AllowRemote lets ListenAndServe listen on addresses that are not loopback.
	AllowRemote bool
	// Record, if not nil, is called with every request of the API and its answer, before
	// the answer is sent.
	Record func(Exchange)
}

// Exchange is a request of the API and its answer.
type Exchange struct {
	Endpoint api.Endpoint
	Request  *http.Request // its body has been read
	Body     []byte
	Status   int
	Type     string // the answer's content type
	Answer   []byte
	Faulty   bool // the answer is that of a Fault
}

// setDefaults sets the defaults. Afterwards 0 means no limit and no time.
func (c *Config) setDefaults() {
	c.Project = cmp.Or(c.Project, EmailProject)
	if len(c.Keys) == 0 {
		c.Keys = map[string]KeyType{DefaultKey: ServerKey}
	}
	if !c.Fast {
		c.Rate = cmp.Or(c.Rate, DefaultRate)
		c.NewList = cmp.Or(c.NewList, DefaultNewList)
		c.Lag = cmp.Or(c.Lag, DefaultLag)
	}
	c.Rate, c.NewList, c.Lag = max(0, c.Rate), max(0, c.NewList), max(0, c.Lag)
}
