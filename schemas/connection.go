package schemas

import (
	"encoding/json"
	"strconv"
	"time"
)

// Connections is the content of connections.yaml, the administrators' file.
type Connections struct {
	Connections []Connection `json:"connections"`
	Retention   Retention    `json:"retention,omitzero"`
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
	// ProjectType is how the project identifies profiles: "email" (the
	// default), "userID" or "hybrid".
	ProjectType string `json:"projectType,omitempty"`
	// Allowed has the roles that may use the connection: "administrators" (the
	// default), "contributors".
	Allowed []string `json:"allowed,omitempty"`
	// MaxProfiles is how many profiles the contract with Iterable allows a
	// list to have; 0 is no limit.
	MaxProfiles int64  `json:"maxProfiles,omitempty"`
	Limits      Limits `json:"limits,omitzero"`
	// AllowedSources are the folders and buckets that a segment's source must be in:
	// URLs, or paths, which are absolute once the file is loaded.
	AllowedSources []string `json:"allowedSources,omitempty"`
	// Suppress names the people who are never sent over this connection.
	Suppress []Suppression `json:"suppress,omitempty"`
	Consent  *Consent      `json:"consent,omitempty"`
}

// KeyRef says where the worker finds an API key: in an environment variable or
// in a file, never in the configuration itself.
type KeyRef struct {
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
}

// Limit is a limit in numbers, or 0 where it is learned, which JSON has as "auto".
type Limit float64

// auto is how a limit that is learned is written.
const auto = "auto"

// UnmarshalJSON reads a number or "auto".
func (l *Limit) UnmarshalJSON(data []byte) error {
	if string(data) == `"`+auto+`"` {
		*l = 0
		return nil
	}
	return json.Unmarshal(data, (*float64)(l))
}

// MarshalJSON writes a number or "auto".
func (l Limit) MarshalJSON() ([]byte, error) {
	if l == 0 {
		return []byte(`"` + auto + `"`), nil
	}
	return json.Marshal(float64(l))
}

// String returns the number or "auto".
func (l Limit) String() string {
	if l == 0 {
		return auto
	}
	return strconv.FormatFloat(float64(l), 'f', -1, 64)
}

// Limits are the API's limits as this project may use them. A zero field means
// the default.
type Limits struct {
	// RequestsPerSecond is the rate of subscribe and unsubscribe, each. By default it
	// is learned, up to MaxRequestsPerSecond if that is set.
	RequestsPerSecond    Limit   `json:"requestsPerSecond,omitzero"`
	MaxRequestsPerSecond float64 `json:"maxRequestsPerSecond,omitempty"`
	// SubscribersPerRequest is the most profiles that one request carries. By default
	// it is learned, up to MaxSubscribersPerRequest if that is set.
	SubscribersPerRequest    Limit `json:"subscribersPerRequest,omitzero"`
	MaxSubscribersPerRequest int   `json:"maxSubscribersPerRequest,omitempty"`
	// MaxBodyBytes is the most bytes that one request's body has.
	MaxBodyBytes int `json:"maxBodyBytes,omitempty"`
}

const (
	// DefaultMaxBodyBytes is the default of MaxBodyBytes. It leaves a little room
	// under 4,000,000 bytes, the smaller reading of the "4 MB" that Iterable documents
	// for users/bulkUpdate.
	DefaultMaxBodyBytes = 3_900_000
	// BatchProfiles is the most profiles in a batch of a staged file: what peers send
	// in one request. A request carries one batch or more, or a part of one where the
	// project's limit is lower.
	BatchProfiles = 1000
)

// WithDefaults returns the limits with every zero field replaced by its default.
func (l Limits) WithDefaults() Limits {
	if l.MaxBodyBytes == 0 {
		l.MaxBodyBytes = DefaultMaxBodyBytes
	}
	return l
}

// Consent records that a person has agreed to the transfer of personal data to Iterable.
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

// ConnectionsAnswer lists the connections, with what the asking person may see.
type ConnectionsAnswer struct {
	// Person is who asked.
	Person      Person           `json:"person"`
	Connections []ConnectionView `json:"connections"`
	// Broken says what is wrong with the newest version of connections.yaml, which
	// is not in force; empty where all is well. Since is when that was noticed.
	Broken string    `json:"broken,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// ConnectionView is what can be shown of a connection. Everyone sees its name and type; the
// rest is for administrators.
type ConnectionView struct {
	Name        string `json:"name"`
	ProjectType string `json:"projectType"`

	Description string         `json:"description,omitempty"`
	Region      string         `json:"region,omitempty"`
	BaseURL     string         `json:"baseURL,omitempty"`
	Allowed     []string       `json:"allowed,omitempty"`
	Consent     *ConsentRecord `json:"consent,omitempty"`
	// Check is what the last check found; nil if there was none.
	Check *ConnectionCheck `json:"check,omitempty"`
	// Limits are those that connections.yaml sets.
	Limits Limits `json:"limits,omitzero"`
	// Learned is what is known of the project's limits, by endpoint.
	Learned map[string]LearnedLimits `json:"learned,omitempty"`
}

// LearnedLimits are the requests per second and the profiles per request that a project was
// found to accept; 0 is not known yet.
type LearnedLimits struct {
	RequestsPerSecond float64 `json:"requestsPerSecond,omitempty"`
	Profiles          int     `json:"profiles,omitempty"`
}

// ConsentRecord is kept in the data root for each consent and each withdrawal.
type ConsentRecord struct {
	Connection string `json:"connection"`
	// Host is the API's host that the record is about.
	Host string `json:"host"`
	// Withdrawn is set if the connection was disconnected.
	Withdrawn bool      `json:"withdrawn,omitempty"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	// Statement is what was agreed to, and SHA256 its hash in hex; both are empty
	// in a record that withdraws.
	Statement string `json:"statement,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	// File is set if connections.yaml has the consent.
	File bool `json:"file,omitempty"`
}

// ConnectionCheck is what a check of a connection's key found.
type ConnectionCheck struct {
	Connection string    `json:"connection"`
	At         time.Time `json:"at"`
	By         string    `json:"by"`
	// Error is why exports can't use the key, or empty.
	Error string `json:"error,omitempty"`
	// ProjectType is what connections.yaml says.
	ProjectType string `json:"projectType,omitempty"`
	// Lists and Fields are how many of each the project has.
	Lists  int `json:"lists"`
	Fields int `json:"fields"`
}

// ConnectionInfo is what a run needs to know of its connection. It holds
// no secrets, and is fixed for the length of a run.
type ConnectionInfo struct {
	Name        string `json:"name"`
	ProjectType string `json:"projectType"`
	MaxProfiles int64  `json:"maxProfiles,omitempty"`
	Limits      Limits `json:"limits"`
	// TaskQueue is where activities that call Iterable for it run.
	TaskQueue string `json:"taskQueue"`
	// Host is the connection's API host when the run began. The consent was to that
	// host, and the run's list has its id there.
	Host string `json:"host,omitempty"`
}
