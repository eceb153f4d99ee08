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

// Body builds the body of one request, with rows of one batch or more. An unsubscribe request
// removes profiles from the list only: channelUnsubscribe, which would stop all mail to them, is
// always false.
type Body struct {
	bytes       []byte
	options     BodyOptions
	unsubscribe bool
	rows        int
}

// Reset begins a new body, and reuses the memory of the last one.
func (b *Body) Reset(o BodyOptions, unsubscribe bool) {
	b.bytes, b.options, b.unsubscribe, b.rows = appendHead(b.bytes[:0], o.ListID), o, unsubscribe, 0
}

// Add adds rows from to to-1 of a batch. It reports whether they fit into most bytes;
// the first ones always do.
func (b *Body) Add(batch *Batch, from, to, most int) bool {
	before := len(b.bytes)
	if b.rows > 0 && to > from {
		b.bytes = append(b.bytes, ',')
	}
	tail := unsubscribeTail
	if b.unsubscribe {
		b.bytes = appendUnsubscribers(b.bytes, batch, from, to, b.options)
	} else {
		tail = b.options.bodyTail()
		b.bytes = appendSubscribers(b.bytes, batch, from, to, b.options)
	}
	if b.rows > 0 && len(b.bytes)+len(tail) > most {
		b.bytes = b.bytes[:before]
		return false
	}
	b.rows += to - from
	return true
}

// Bytes returns the whole body. It is valid until the next call of Reset or Add.
func (b *Body) Bytes() []byte {
	if b.unsubscribe {
		return append(b.bytes, unsubscribeTail...)
	}
	return append(b.bytes, b.options.bodyTail()...)
}

func appendSubscribers(dst []byte, b *Batch, from, to int, o BodyOptions) []byte {
	tail := o.subscriberTail()
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		email, userID, data := b.Email(i), b.UserID(i), b.DataFields(i)
		dst = appendWho(dst, email, userID, o.ByUserID)
		switch {
		case o.ByUserID && len(email) > 0 && len(userID) > 0:
			dst = AppendString(append(dst, addressField...), email)
			if len(data) > len("{}") {
				dst = append(append(dst, ','), data[1:]...)
			} else {
				dst = append(dst, '}')
			}
		case len(data) > 0:
			dst = append(append(dst, dataFields...), data...)
		}
		dst = append(dst, tail...)
	}
	return dst
}

func appendUnsubscribers(dst []byte, b *Batch, from, to int, o BodyOptions) []byte {
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		dst = append(appendWho(dst, b.Email(i), b.UserID(i), o.ByUserID), '}')
	}
	return dst
}

const (
	headStart       = `{"listId":`
	headEnd         = `,"subscribers":[`
	unsubscribeTail = `],"channelUnsubscribe":false}`
	dataFields      = `,"dataFields":`
	addressField    = dataFields + `{"email":`
)

func appendHead(dst []byte, listID int64) []byte {
	dst = append(dst, headStart...)
	dst = strconv.AppendInt(dst, listID, 10)
	return append(dst, headEnd...)
}

// appendWho opens a subscriber and names the profile by one identifier.
func appendWho(dst, email, userID []byte, byUserID bool) []byte {
	if len(email) > 0 && !(byUserID && len(userID) > 0) {
		return AppendString(append(dst, `{"email":`...), email)
	}
	return AppendString(append(dst, `{"userId":`...), userID)
}

// subscriberTail closes a subscriber.
func (o BodyOptions) subscriberTail() string {
	switch {
	case o.PreferUserID && o.MergeNestedObjects:
		return `,"preferUserId":true,"mergeNestedObjects":true}`
	case o.PreferUserID:
		return `,"preferUserId":true}`
	case o.MergeNestedObjects:
		return `,"mergeNestedObjects":true}`
	}
	return `}`
}

func (o BodyOptions) bodyTail() string {
	if o.UpdateExistingUsersOnly {
		return `],"updateExistingUsersOnly":true}`
	}
	return `],"updateExistingUsersOnly":false}`
}

// measure has the sizes of the parts of one kind of body, in bytes.
type measure struct {
	envelope   int // a body without subscribers
	subscriber int // a subscriber without identifier and data fields
	dataFields bool
	byUserID   bool
}

func newMeasure(o Options) measure {
	head := len(appendHead(nil, o.Body.ListID))
	if o.Unsubscribe {
		return measure{envelope: head + len(unsubscribeTail), subscriber: len("}"), byUserID: o.Body.ByUserID}
	}
	return measure{
		envelope:   head + len(o.Body.bodyTail()),
		subscriber: len(o.Body.subscriberTail()),
		dataFields: true,
		byUserID:   o.Body.ByUserID,
	}
}

// profile returns the size of one subscriber in a body, without the comma before it.
func (m measure) profile(p Profile) int {
	size, both := m.subscriber, m.byUserID && len(p.Email) > 0 && len(p.UserID) > 0
	if len(p.Email) > 0 && !both {
		size += len(`{"email":`) + stringSize(p.Email)
	} else {
		size += len(`{"userId":`) + stringSize(p.UserID)
	}
	switch {
	case !m.dataFields:
	case both:
		size += len(addressField) + stringSize(p.Email) + len("}")
		if len(p.DataFields) > len("{}") {
			size += len(",") + len(p.DataFields) - len("{") - len("}")
		}
	case len(p.DataFields) > 0:
		size += len(dataFields) + len(p.DataFields)
	}
	return size
}
