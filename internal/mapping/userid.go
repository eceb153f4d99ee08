package mapping

import (
	"unicode"
	"unicode/utf8"

	"iterable-segment-export/schemas"
)

// maxUserID is the most characters that a user ID may have in Iterable ("Project
// Types and Unique Identifiers", support.iterable.com, 9216719179796).
const maxUserID = 52

// CheckUserID returns "" for a valid user ID, and schemas.ReasonInvalidUserID for one that is
// empty, has white space at either end (another user to Iterable), has more than maxUserID
// characters, or is not UTF-8.
func CheckUserID(id []byte) schemas.Reason {
	if len(id) == 0 || len(id) > maxUserID*utf8.UTFMax || !utf8.Valid(id) || utf8.RuneCount(id) > maxUserID {
		return schemas.ReasonInvalidUserID
	}
	first, _ := utf8.DecodeRune(id)
	last, _ := utf8.DecodeLastRune(id)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return schemas.ReasonInvalidUserID
	}
	return ""
}
