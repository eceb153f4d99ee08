package batch

import (
	"strconv"

	"iterable-segment-export/schemas"
)

// BodyOptions are the settings of a subscribe request. PreferUserID and
// MergeNestedObjects are written for each subscriber if they are true; missing ones are false
// to Iterable.
//
// Iterable requires one identifier for each subscriber. Of a profile with both, it is the user
// ID with ByUserID, for projects that identify profiles by it; the address is then sent as the
// data field "email", which Iterable is assumed to use as the profile's address. Otherwise it is
// the address, and the user ID is left out.
type BodyOptions struct {
	ListID                  int64
	PreferUserID            bool
	MergeNestedObjects      bool
	UpdateExistingUsersOnly bool
	ByUserID                bool
}

// NewBodyOptions returns how the requests of an export are written.
func NewBodyOptions(listID int64, s schemas.Settings, projectType string) BodyOptions {
	return BodyOptions{
		ListID: listID, PreferUserID: s.PreferUserID, MergeNestedObjects: s.MergeNestedObjects,
		UpdateExistingUsersOnly: s.UpdateExistingUsersOnly,
		ByUserID:                projectType == schemas.ProjectUserID || projectType == schemas.ProjectHybrid,
	}
}

// appendProfile appends one profile of a request.
func (o Options) appendProfile(dst, email, userID, data []byte) []byte {
	both := o.Body.ByUserID && len(email) > 0 && len(userID) > 0
	if len(email) > 0 && !both {
		dst = AppendString(append(dst, `{"email":`...), email)
	} else {
		dst = AppendString(append(dst, `{"userId":`...), userID)
	}
	switch {
	case o.Unsubscribe:
		return append(dst, '}')
	case both:
		dst = AppendString(append(dst, `,"dataFields":{"email":`...), email)
		if len(data) > len("{}") {
			dst = append(append(dst, ','), data[1:]...)
		} else {
			dst = append(dst, '}')
		}
	case len(data) > 0:
		dst = append(append(dst, `,"dataFields":`...), data...)
	}
	if o.Body.PreferUserID {
		dst = append(dst, `,"preferUserId":true`...)
	}
	if o.Body.MergeNestedObjects {
		dst = append(dst, `,"mergeNestedObjects":true`...)
	}
	return append(dst, '}')
}

// head begins the body of a request, before its profiles.
func (o Options) head(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"listId":`...), o.Body.ListID, 10)
	return append(dst, `,"subscribers":[`...)
}

// tail ends the body of a request, after its profiles.
func (o Options) tail() string {
	if o.Unsubscribe {
		return `],"channelUnsubscribe":false}`
	}
	if o.Body.UpdateExistingUsersOnly {
		return `],"updateExistingUsersOnly":true}`
	}
	return `],"updateExistingUsersOnly":false}`
}

// Body builds the body of one request, with rows of one batch or more. An unsubscribe request
// removes profiles from the list only: channelUnsubscribe, which would stop all mail to them, is
// always false.
type Body struct {
	bytes   []byte
	options Options
	rows    int
}

// Reset begins a new body, and reuses the memory of the last one.
func (b *Body) Reset(o BodyOptions, unsubscribe bool) {
	b.options, b.rows = Options{unsubscribe, o}, 0
	b.bytes = b.options.head(b.bytes[:0])
}

// Add adds rows from to to-1 of a batch. It reports whether they fit into most bytes;
// the first ones always do.
func (b *Body) Add(batch *Batch, from, to, most int) bool {
	before := len(b.bytes)
	for i := from; i < to; i++ {
		if b.rows > 0 || i > from {
			b.bytes = append(b.bytes, ',')
		}
		b.bytes = b.options.appendProfile(b.bytes, batch.Email(i), batch.UserID(i), batch.DataFields(i))
	}
	if b.rows > 0 && len(b.bytes)+len(b.options.tail()) > most {
		b.bytes = b.bytes[:before]
		return false
	}
	b.rows += to - from
	return true
}

// Bytes returns the whole body. It is valid until the next call of Reset or Add.
func (b *Body) Bytes() []byte { return append(b.bytes, b.options.tail()...) }
