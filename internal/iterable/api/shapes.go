package api

import "encoding/json"

// List is a list in the answer to GET /api/lists. In the document, CreatedAt is an int32, which
// is too small for milliseconds.
type List struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	ListType    string `json:"listType"`
	CreatedAt   int64  `json:"createdAt"` // Unix milliseconds
}

// ListsAnswer is the answer to GET /api/lists.
type ListsAnswer struct {
	Lists []List `json:"lists"`
}

// CreateListRequest is the body of POST /api/lists.
type CreateListRequest struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// CreateListAnswer is the answer to POST /api/lists.
type CreateListAnswer struct {
	ListID *int64 `json:"listId"`
}

// Subscriber is one row of a subscribe request. The document requires exactly one of Email and
// UserID.
type Subscriber struct {
	Email              *string         `json:"email,omitempty"`
	UserID             *string         `json:"userId,omitempty"`
	DataFields         json.RawMessage `json:"dataFields,omitempty"`
	PreferUserID       bool            `json:"preferUserId,omitempty"`
	MergeNestedObjects bool            `json:"mergeNestedObjects,omitempty"`
}

// SubscribeRequest is the body of a subscribe request.
type SubscribeRequest struct {
	ListID                  *int64       `json:"listId"`
	Subscribers             []Subscriber `json:"subscribers"`
	UpdateExistingUsersOnly bool         `json:"updateExistingUsersOnly,omitempty"`
}

// Unsubscriber is one row of an unsubscribe request.
type Unsubscriber struct {
	Email  *string `json:"email,omitempty"`
	UserID *string `json:"userId,omitempty"`
}

// UnsubscribeRequest is the body of an unsubscribe request. ChannelUnsubscribe
// would unsubscribe the members from the whole channel.
type UnsubscribeRequest struct {
	ListID             *int64         `json:"listId"`
	Subscribers        []Unsubscriber `json:"subscribers"`
	ChannelUnsubscribe bool           `json:"channelUnsubscribe,omitempty"`
	CampaignID         *int64         `json:"campaignId,omitempty"`
}

// UpdateAnswer is the answer to subscribe and unsubscribe. Only the counts are
// required (O); any array can be missing.
type UpdateAnswer struct {
	SuccessCount      *int          `json:"successCount"`
	FailCount         *int          `json:"failCount"`
	CreatedFields     []string      `json:"createdFields,omitempty"`
	FilteredOutFields []string      `json:"filteredOutFields,omitempty"`
	FailedUpdates     FailedUpdates `json:"failedUpdates,omitzero"`
	// Deprecated twins of FailedUpdates' arrays, still sent (C).
	InvalidEmails  []string `json:"invalidEmails,omitempty"`
	InvalidUserIDs []string `json:"invalidUserIds,omitempty"`
}

// FailedUpdates are the refused subscribers, by Iterable's reason.
// Addresses come back in lower case (R).
type FailedUpdates struct {
	InvalidEmails      []string `json:"invalidEmails,omitempty"`
	InvalidUserIDs     []string `json:"invalidUserIds,omitempty"`
	NotFoundEmails     []string `json:"notFoundEmails,omitempty"`
	NotFoundUserIDs    []string `json:"notFoundUserIds,omitempty"`
	ForgottenEmails    []string `json:"forgottenEmails,omitempty"`
	ForgottenUserIDs   []string `json:"forgottenUserIds,omitempty"`
	ConflictEmails     []string `json:"conflictEmails,omitempty"`
	ConflictUserIDs    []string `json:"conflictUserIds,omitempty"`
	InvalidDataEmails  []string `json:"invalidDataEmails,omitempty"`
	InvalidDataUserIDs []string `json:"invalidDataUserIds,omitempty"`
}

// FieldsAnswer is the answer to GET /api/users/getFields: name to type.
type FieldsAnswer struct {
	Fields map[string]string `json:"fields"`
}

// ForgottenAnswer is the answer to GET /api/users/forgotten and
// forgottenUserIds: the SHA-256, in hexadecimal, of each forgotten address or
// user ID in lower case and trimmed (O).
type ForgottenAnswer struct {
	HashedEmails  *[]string `json:"hashedEmails,omitempty"`
	HashedUserIDs *[]string `json:"hashedUserIds,omitempty"`
}

// UpdateUserRequest is the body of POST /api/users/update.
type UpdateUserRequest struct {
	Subscriber
	CreateNewFields *bool `json:"createNewFields,omitempty"`
}

// User is a profile in the answers of endpoints that read one.
type User struct {
	Email      string         `json:"email"`
	UserID     string         `json:"userId,omitempty"`
	DataFields map[string]any `json:"dataFields,omitempty"`
}

// UserAnswer is the answer with a profile; without one it is an empty object (C).
type UserAnswer struct {
	User *User `json:"user,omitempty"`
}

// Status is the answer of calls without a result, and of every error.
// Msg and Params can hold addresses.
type Status struct {
	Msg    string         `json:"msg"`
	Code   string         `json:"code"`
	Params map[string]any `json:"params"`
}

// TypeMismatch is one entry of params.validationErrors of an answer with the
// code CodeFieldTypes, by field (B). The offending value is left out: it is
// personal data.
type TypeMismatch struct {
	IncomingTypes []string `json:"incomingTypes"`
	ExpectedType  string   `json:"expectedType"`
	Category      string   `json:"category"`
}
