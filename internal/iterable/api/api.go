// Package api describes the part of Iterable's HTTP API that this project uses: its endpoints
// with their documented limits, the shapes of its requests and answers, and its error codes.
// The client and the sandbox share these names and shapes, but not their behaviour.
//
// Each fact is followed by its source: O is Iterable's OpenAPI document, version
// 1.8; OT the integration tests of Iterable's own TypeScript client
// (Iterable/api-client); C that client, npm @iterable/api 0.13.0; D articles of
// support.iterable.com; B block/iterable-go; R RudderStack's iterable_audience
// destination.
package api

import "net/http"

// Endpoint is one call of the API.
type Endpoint struct {
	// Name is the name of the call in statistics, faults and metrics.
	Name string
	// Method and Path are those of the OpenAPI document, with {parameters}.
	Method, Path string
	// PerSecond and PerMinute are the documented limits of a project; 0 means no limit.
	PerSecond, PerMinute float64
}

// String returns the method and the path.
func (e Endpoint) String() string { return e.Method + " " + e.Path }

// The endpoints, with their limits in O. It has no limits for subscribe and unsubscribe: they
// must be learned.
var (
	Lists            = Endpoint{Name: "lists", Method: http.MethodGet, Path: "/api/lists", PerSecond: 100}
	CreateList       = Endpoint{Name: "lists/create", Method: http.MethodPost, Path: "/api/lists"}
	DeleteList       = Endpoint{Name: "lists/delete", Method: http.MethodDelete, Path: "/api/lists/{listId}"}
	ListSize         = Endpoint{Name: "lists/size", Method: http.MethodGet, Path: "/api/lists/{listId}/size", PerMinute: 5}
	GetUsers         = Endpoint{Name: "lists/getUsers", Method: http.MethodGet, Path: "/api/lists/getUsers", PerMinute: 5}
	PreviewUsers     = Endpoint{Name: "lists/previewUsers", Method: http.MethodGet, Path: "/api/lists/previewUsers", PerMinute: 5}
	Subscribe        = Endpoint{Name: "lists/subscribe", Method: http.MethodPost, Path: "/api/lists/subscribe"}
	Unsubscribe      = Endpoint{Name: "lists/unsubscribe", Method: http.MethodPost, Path: "/api/lists/unsubscribe"}
	GetFields        = Endpoint{Name: "users/getFields", Method: http.MethodGet, Path: "/api/users/getFields", PerSecond: 3}
	Forgotten        = Endpoint{Name: "users/forgotten", Method: http.MethodGet, Path: "/api/users/forgotten", PerSecond: 3}
	ForgottenUserIDs = Endpoint{Name: "users/forgottenUserIds", Method: http.MethodGet, Path: "/api/users/forgottenUserIds", PerSecond: 3}
	UpdateUser       = Endpoint{Name: "users/update", Method: http.MethodPost, Path: "/api/users/update", PerSecond: 500}
	UserByEmail      = Endpoint{Name: "users/get", Method: http.MethodGet, Path: "/api/users/{email}", PerSecond: 100}
	UserByUserID     = Endpoint{Name: "users/getByUserId", Method: http.MethodGet, Path: "/api/users/byUserId/{userId}", PerSecond: 100}
	GetByEmail       = Endpoint{Name: "users/getByEmail", Method: http.MethodGet, Path: "/api/users/getByEmail", PerSecond: 100}
	DeleteByEmail    = Endpoint{Name: "users/delete", Method: http.MethodDelete, Path: "/api/users/{email}", PerSecond: 100}
	DeleteByUserID   = Endpoint{Name: "users/deleteByUserId", Method: http.MethodDelete, Path: "/api/users/byUserId/{userId}", PerSecond: 100}
)

// Endpoints are all of them.
var Endpoints = []Endpoint{
	Lists, CreateList, DeleteList, ListSize, GetUsers, PreviewUsers, Subscribe, Unsubscribe, GetFields, Forgotten,
	ForgottenUserIDs, UpdateUser, UserByEmail, UserByUserID, GetByEmail, DeleteByEmail, DeleteByUserID,
}

// Limits that the documentation states.
const (
	// MaxDescription is the maximum number of characters of a list's description (D).
	MaxDescription = 140
	// MaxPreview is the maximum number of members that lists/previewUsers returns (O).
	MaxPreview = 5000
	// BulkUpdateBody is the maximum size of a body of users/bulkUpdate, in bytes (O). The
	// limit of subscribe is not documented; this is the best guess.
	BulkUpdateBody = 4 << 20
)

// The types of a list (O). Only a Standard list can have subscribers.
const (
	Standard    = "Standard"
	Dynamic     = "Dynamic"
	Suppression = "Suppression"
	Internal    = "Internal"
)

// Error codes (C) that change what a status means.
const (
	CodeSuccess         = "Success" // also on errors (B)
	CodeBadAPIKey       = "BadApiKey"
	CodeBadParams       = "BadParams"
	CodeBadJSONBody     = "BadJsonBody"
	CodeBatchTooLarge   = "BatchTooLarge"
	CodeFieldTypes      = "RequestFieldsTypesMismatched"
	CodeFieldsLimit     = "UniqueFieldsLimitExceeded"
	CodeForbidden       = "Forbidden"
	CodeGenericError    = "GenericError"
	CodeNotFound        = "NotFound"
	CodeRateLimit       = "RateLimitExceeded"
	CodeForgotten       = "ForgottenUserError"
	CodeEmailExists     = "EmailAlreadyExists"
	CodeUserIDExists    = "UserIdAlreadyExists"
	CodeInvalidEmail    = "InvalidEmailAddressError"
	CodeInvalidUserID   = "InvalidUserIdError"
	CodeUnknownEmail    = "UnknownEmailError"
	CodeUnknownUserID   = "UnknownUserIdError"
	InvalidListIDMarker = "error.lists.invalidListId" // begins the msg of an unknown list's answer (C, B, OT)
)

// Codes are all error codes that Iterable is known to send (C, O).
var Codes = []string{
	CodeSuccess, CodeBadAPIKey, "BadAuthorizationHeader", CodeBadJSONBody, CodeBadParams, CodeBatchTooLarge,
	"DatabaseError", CodeEmailExists, "ExternalKeyConflict", CodeForbidden, "ForbiddenParamsError", CodeForgotten,
	CodeGenericError, CodeInvalidEmail, "InvalidJwtPayload", CodeInvalidUserID, "JwtUserIdentifiersMismatched",
	CodeNotFound, "QueueEmailError", CodeRateLimit, CodeFieldTypes, "Unauthorized", CodeFieldsLimit,
	CodeUnknownEmail, CodeUnknownUserID, CodeUserIDExists,
}
