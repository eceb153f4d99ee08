package sandbox

import (
	"cmp"
	"net/http"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// What a Config has where it says nothing else. The rate is what Iterable documents
// for users/bulkUpdate.
const (
	DefaultKey     = "sandbox-key"
	DefaultRate    = 5
	DefaultNewList = 10 * time.Second
	DefaultLag     = time.Minute
)

// ProjectType is what a project identifies profiles by.
type ProjectType string

// The project types.
const (
	EmailProject  ProjectType = "email"
	UserIDProject ProjectType = "userID"
	HybridProject ProjectType = "hybrid"
)

// KeyType is what an API key may do.
type KeyType string

// The key types. A read-only key may only GET; one of any other type, such as
// JavaScript, may use none of the endpoints here.
const (
	ServerKey   KeyType = "server"
	ReadOnlyKey KeyType = "readOnly"
)

// Config describes a Server. The zero value is an email-based project with the
// key DefaultKey, which behaves like the real service: slow, limited and
// eventually consistent.
type Config struct {
	// Project is EmailProject where empty.
	Project ProjectType
	// Keys are the API keys and what they may do.
	Keys map[string]KeyType
	// Fast turns off the defaults of Rate, NewList and Lag, the documented limits
	// of the other endpoints and their timeouts: for tests with another purpose.
	Fast bool
	// Rate is the requests a second for subscribe and unsubscribe, each; 0 is the
	// default, and less than 0 is no limit.
	Rate float64
	// Burst is how many requests may come at once after a pause; 0 is one second's
	// worth of the rate, at least 1.
	Burst int
	// Latency is how long every API answer is held back, and PerProfile how much
	// longer for each subscriber in the request.
	Latency, PerProfile time.Duration
	// MaxSubscribers is the most rows in a request, above which the answer is
	// 400 BatchTooLarge; 0 is no limit.
	MaxSubscribers int
	// Fields are fields that the project has from the start, name to type.
	Fields map[string]string
	// DropUnknownFields drops fields that the project does not have, instead of
	// creating them.
	DropUnknownFields bool
	// RefuseMismatches answers a request that holds a value of another type than
	// its field's with 400 RequestFieldsTypesMismatched; without it only the row
	// fails, in failedUpdates.
	RefuseMismatches bool
	// NewList is how long subscribe and unsubscribe do not know a list that was
	// just created: a random time up to it, or exactly that with Exactly. 0 is the
	// default, less than 0 is no time.
	NewList time.Duration
	// Lag is how long lists/{id}/size and getUsers do not show a change, likewise.
	Lag time.Duration
	// Exactly makes NewList and Lag exact times.
	Exactly bool
	// RefuseTwins answers the creation of a list whose name is taken with 400, and
	// TrimNames cuts white space around a new list's name.
	RefuseTwins, TrimNames bool
	// KeepData keeps each profile's dataFields, merged as Iterable does, so that
	// GET /api/users/{email} has them.
	KeepData bool
	// DataDir is a folder that Open keeps the lists and profiles in; empty keeps
	// them in memory alone. New does not use it.
	DataDir string
	// FirstListID is the ID of the first list; 0 is 1.
	FirstListID int64
	// AllowRemote lets ListenAndServe listen on addresses that are not loopback.
	AllowRemote bool
	// Record, if not nil, is called with every request of the API and its answer
	// before the client gets it.
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

// setDefaults fills in what is not set. Afterwards 0 means none.
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
