package schemas

import (
	"maps"
	"slices"
)

// Reason says why a row was not sent.
type Reason string

// Reasons found while validating, before anything is sent.
const (
	ReasonMissing          Reason = "missing"
	ReasonSyntax           Reason = "syntax"
	ReasonLocalTooLong     Reason = "local_too_long"
	ReasonTooLong          Reason = "too_long"
	ReasonDots             Reason = "dots"
	ReasonNonASCIILocal    Reason = "non_ascii_local"
	ReasonQuotedLocal      Reason = "quoted_local"
	ReasonIPLiteral        Reason = "ip_literal"
	ReasonDomainSyntax     Reason = "domain_syntax"
	ReasonNoTLD            Reason = "no_tld"
	ReasonUnknownTLD       Reason = "unknown_tld"
	ReasonPlaceholder      Reason = "placeholder"
	ReasonControlCharacter Reason = "control_character"
	ReasonInvalidUserID    Reason = "invalid_user_id"
	ReasonInvalidValue     Reason = "invalid_value"
	ReasonTooLarge         Reason = "too_large"
	// ReasonAmbiguous marks a row with the profile of another row, where dedupe keeps none of
	// them.
	ReasonAmbiguous Reason = "ambiguous"
)

// ReasonDuplicate marks a row with the profile of another row, which counts. It is not counted as a
// reject.
const ReasonDuplicate Reason = "duplicate"

// ReasonSuppressed marks a row of a person who is on a suppression list. It is counted by
// itself and not written to the rejects file.
const ReasonSuppressed Reason = "suppressed"

// Reasons of rows of a divided segment that are for no list. They are not counted as rejects.
const (
	ReasonHoldout Reason = "holdout"
	ReasonNoValue Reason = "no_value"
)

// Reasons that Iterable gave in its answer.
const (
	ReasonIterableInvalidEmail  Reason = "iterable_invalid_email"
	ReasonIterableInvalidUserID Reason = "iterable_invalid_user_id"
	ReasonIterableInvalidData   Reason = "iterable_invalid_data"
	ReasonIterableConflict      Reason = "iterable_conflict"
	ReasonIterableNotFound      Reason = "iterable_not_found"
	// ReasonIterableForgotten: deleted under GDPR. Such profiles are counted and never
	// written to a file.
	ReasonIterableForgotten Reason = "iterable_forgotten"
	// ReasonIterableRefused: a request with this row alone was answered 400.
	ReasonIterableRefused Reason = "iterable_refused"
)

// sentences explain each reason to the reader of a rejected row.
var sentences = map[Reason]string{
	ReasonMissing:          "there is no e-mail address",
	ReasonSyntax:           "this is not an e-mail address: it needs a name, one @ and a domain, and no spaces",
	ReasonLocalTooLong:     "the part before the @ is longer than 64 characters",
	ReasonTooLong:          "the address is longer than 254 characters",
	ReasonDots:             "the part before the @ starts or ends with a dot, or has two dots in a row",
	ReasonNonASCIILocal:    "the part before the @ has letters outside ASCII, which Iterable does not mail",
	ReasonQuotedLocal:      "the part before the @ is in quotes, which Iterable does not mail",
	ReasonIPLiteral:        "the domain is an IP address",
	ReasonDomainSyntax:     "the domain is not a valid domain name",
	ReasonNoTLD:            "the domain has no top-level domain such as .com",
	ReasonUnknownTLD:       "the domain ends in a top-level domain that does not exist",
	ReasonPlaceholder:      "this is a placeholder (@placeholder.email), not a person's address",
	ReasonControlCharacter: "the address contains a control character",
	ReasonInvalidUserID:    "the user id is missing, too long, or has white space around it",
	ReasonInvalidValue:     "a mapped field has a value that can't be sent, with onInvalid: reject",
	ReasonTooLarge:         "this profile alone is larger than one request may be",
	ReasonSuppressed:       "this person is on a suppression list of the connection",
	ReasonAmbiguous:        "several rows have the same person, and dedupe keeps none of them",
	ReasonDuplicate:        "another row with the same person counts",
	ReasonHoldout:          "this person is in a group of the split that is not sent",
	ReasonNoValue:          "the row has no value in the column of forEach, and so is for no list",

	ReasonIterableInvalidEmail:  "Iterable says that the address is invalid",
	ReasonIterableInvalidUserID: "Iterable says that the user id is invalid",
	ReasonIterableInvalidData:   "Iterable says that the profile's data is invalid",
	ReasonIterableConflict:      "Iterable says that the address and the user id belong to different people",
	ReasonIterableNotFound:      "Iterable does not know this person",
	ReasonIterableForgotten:     "this person was forgotten in Iterable (GDPR) and can't be added again",
	ReasonIterableRefused:       "Iterable refused a request that held this row alone",
}

// Sentence returns the reason as a sentence.
func (r Reason) Sentence() string {
	if s, ok := sentences[r]; ok {
		return s
	}
	return string(r)
}

// Reasons lists every reason, sorted.
func Reasons() []Reason {
	return slices.Sorted(maps.Keys(sentences))
}
