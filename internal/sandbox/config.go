package sandbox

import (
	"fmt"
	"time"
)

// Defaults, as Iterable's documentation and peers have them.
const (
	// DefaultKey is the API key of the only project where a Config names none.
	DefaultKey = "sandbox-key"
	// DefaultRate is the requests a second for subscribe and unsubscribe, each.
	DefaultRate = 5
	// DefaultGetUsersPerMinute is the requests a minute for lists/getUsers.
	DefaultGetUsersPerMinute = 5
	// DefaultMaxBodyBytes is the largest request body.
	DefaultMaxBodyBytes = 4 << 20
)

// ProjectType is what a project identifies people by.
type ProjectType string

// The project types.
const (
	EmailProject  ProjectType = "email"
	UserIDProject ProjectType = "userID"
	HybridProject ProjectType = "hybrid"
)

// KeyType is what an API key may do.
type KeyType string

// The key types. A read-only key may only read; mobile and JavaScript keys may
// use none of the endpoints here.
const (
	ServerKey     KeyType = "server"
	ReadOnlyKey   KeyType = "readOnly"
	MobileKey     KeyType = "mobile"
	JavaScriptKey KeyType = "javascript"
)

// Project is what an API key opens. Keys whose projects have the same Name open
// the same project, which is as the first of them says.
type Project struct {
	Name string `json:"name"`
	// Type is EmailProject where empty.
	Type ProjectType `json:"type,omitempty"`
	// Rate is the project's requests a second for subscribe and unsubscribe,
	// each; 0 is what Config.Rate says, and less than 0 is no limit.
	Rate float64 `json:"rate,omitempty"`
	// KeyType is ServerKey where empty.
	KeyType KeyType `json:"keyType,omitempty"`
	// Region is the data centre that the key belongs to, "us" or "eu"; a key of
	// another region than the server's is refused. Empty fits every region.
	Region string `json:"region,omitempty"`
}

// Config says what a Server is like. The zero value is one email-based project
// with the key DefaultKey and no rate limits, which is what most tests want;
// DefaultConfig has Iterable's limits.
type Config struct {
	// Keys are the API keys and what they open.
	Keys map[string]Project
	// Region is the server's data centre, "us" or "eu"; empty takes keys of both.
	Region string
	// Rate is the requests a second for subscribe and unsubscribe, each, in each
	// project; 0 is no limit.
	Rate float64
	// Burst is how many requests may come at once after a pause; 0 is one
	// second's worth of the rate, at least 1.
	Burst int
	// GetUsersPerMinute is the requests a minute for lists/getUsers; 0 is no limit.
	GetUsersPerMinute float64
	// RetryAfter makes a 429 bear a Retry-After header, in whole seconds.
	RetryAfter bool
	// Latency is how long every API answer is held back.
	Latency time.Duration
	// MaxBodyBytes is the largest request body; 0 is DefaultMaxBodyBytes.
	MaxBodyBytes int
	// MaxSubscribers is the most rows in a request, above which the answer is
	// 400 BatchTooLarge; 0 is no limit.
	MaxSubscribers int
	// MaxFields is how many fields profiles may have in a project, above which
	// the answer is 400 UniqueFieldsLimitExceeded; 0 is no limit.
	MaxFields int
	// Fields are fields that every project has from the start, name to type.
	Fields map[string]string
	// RefuseMismatches answers a request that holds a value of another type than
	// its field's with 400 RequestFieldsTypesMismatched; without it only the row
	// fails, in failedUpdates.
	RefuseMismatches bool
	// KeepData keeps each profile's dataFields whole, merged as Iterable does,
	// so that GET /api/users/{email} gives them. Without it only a hash is kept.
	KeepData bool
	// DataDir is a folder that Open keeps the lists and profiles in; empty keeps
	// them in memory alone. New does not use it.
	DataDir string
	// FirstListID is the id of the first list; 0 is 1.
	FirstListID int64
	// SizeLag is how far behind lists/{id}/size is: Iterable is eventually
	// consistent.
	SizeLag time.Duration
	// AllowRemote lets ListenAndServe listen on addresses that are not loopback.
	AllowRemote bool
}

// DefaultConfig is a project with Iterable's limits.
func DefaultConfig() Config {
	return Config{Rate: DefaultRate, GetUsersPerMinute: DefaultGetUsersPerMinute}
}

func (c *Config) setDefaults() {
	if len(c.Keys) == 0 {
		c.Keys = map[string]Project{DefaultKey: {Name: "sandbox"}}
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = DefaultMaxBodyBytes
	}
}

// check fills in a project's defaults and refuses what it can't be.
func (p *Project) check() error {
	if p.Name == "" {
		return fmt.Errorf("a project needs a name")
	}
	if len(p.Name) > 255 {
		return fmt.Errorf("project %q: the name is longer than 255 bytes", p.Name)
	}
	if p.Type == "" {
		p.Type = EmailProject
	}
	if p.KeyType == "" {
		p.KeyType = ServerKey
	}
	switch p.Type {
	case EmailProject, UserIDProject, HybridProject:
	default:
		return fmt.Errorf("project %q: type %q is none of email, userID, hybrid", p.Name, p.Type)
	}
	switch p.KeyType {
	case ServerKey, ReadOnlyKey, MobileKey, JavaScriptKey:
	default:
		return fmt.Errorf("project %q: key type %q is none of server, readOnly, mobile, javascript", p.Name, p.KeyType)
	}
	switch p.Region {
	case "", "us", "eu":
	default:
		return fmt.Errorf("project %q: region %q is none of us, eu", p.Name, p.Region)
	}
	return nil
}
