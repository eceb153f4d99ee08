package schemas

import "time"

// Connections is the content of connections.yaml, the administrators' file.
type Connections struct {
	Connections []Connection `json:"connections"`
}

// Connection is the way to one Iterable project.
type Connection struct {
	// Name is the display name, unique in the file.
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Region is the project's data centre, "us" or "eu"; BaseURL overrides it.
	Region  string `json:"region,omitempty"`
	BaseURL string `json:"baseURL,omitempty"`
	APIKey  KeyRef `json:"apiKey"`
	// ProjectType says what the project identifies people by: "email" (the
	// default), "userID" or "hybrid".
	ProjectType string `json:"projectType,omitempty"`
	// Allowed says which roles may use the connection: "administrators" (the
	// default), "contributors".
	Allowed []string `json:"allowed,omitempty"`
	// MaxProfiles is how many profiles the contract with Iterable allows a
	// list to have; 0 is no limit.
	MaxProfiles int64  `json:"maxProfiles,omitempty"`
	Limits      Limits `json:"limits,omitzero"`
	// AllowedSources are the prefixes that a segment's source must lie under:
	// URLs, or paths, which are absolute once the file is loaded.
	AllowedSources []string `json:"allowedSources,omitempty"`
	Consent        *Consent `json:"consent,omitempty"`
}

// KeyRef says where the worker finds an API key: in an environment variable or
// in a file, never in the configuration itself.
type KeyRef struct {
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
}

// Limits are the API's limits as this project may use them. A zero field means
// the default.
type Limits struct {
	// RequestsPerSecond is the pace for subscribe and unsubscribe, each.
	RequestsPerSecond float64 `json:"requestsPerSecond,omitempty"`
	// SubscribersPerRequest is the most profiles that one request carries.
	SubscribersPerRequest int `json:"subscribersPerRequest,omitempty"`
	// MaxBodyBytes is the most bytes that one request's body has.
	MaxBodyBytes int `json:"maxBodyBytes,omitempty"`
}

// Defaults of Limits (iterable-api.md: 5 requests a second a project, 4 MB a
// body, peers send 1,000 subscribers a request). The body's default leaves a
// little room under 4,000,000 bytes, the smaller reading of "4 MB".
const (
	DefaultRequestsPerSecond     = 5.0
	DefaultSubscribersPerRequest = 1000
	DefaultMaxBodyBytes          = 3_900_000
)

// WithDefaults gives the limits with every zero field replaced by its default.
func (l Limits) WithDefaults() Limits {
	if l.RequestsPerSecond == 0 {
		l.RequestsPerSecond = DefaultRequestsPerSecond
	}
	if l.SubscribersPerRequest == 0 {
		l.SubscribersPerRequest = DefaultSubscribersPerRequest
	}
	if l.MaxBodyBytes == 0 {
		l.MaxBodyBytes = DefaultMaxBodyBytes
	}
	return l
}

// Consent records that somebody has agreed to the transfer of people's data to
// Iterable.
type Consent struct {
	AcceptedBy string    `json:"acceptedBy"`
	AcceptedAt time.Time `json:"acceptedAt"`
	// Statement names the statement that was agreed to.
	Statement string `json:"statement"`
}

// Regions of a Connection: Iterable's data centres.
const (
	RegionUS = "us"
	RegionEU = "eu"
)

// Roles that Connection.Allowed names.
const (
	AllowAdministrators = "administrators"
	AllowContributors   = "contributors"
)

// Project types of a Connection.
const (
	ProjectEmail  = "email"
	ProjectUserID = "userID"
	ProjectHybrid = "hybrid"
)

// ConnectionInfo is what a run needs to know of its connection. It holds
// nothing secret, and is fixed for the length of a run.
type ConnectionInfo struct {
	Name        string `json:"name"`
	ProjectType string `json:"projectType"`
	MaxProfiles int64  `json:"maxProfiles,omitempty"`
	Limits      Limits `json:"limits"`
	// TaskQueue is where activities that call Iterable for it run.
	TaskQueue string `json:"taskQueue"`
}
