package generate

import (
	"math"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/schemas"
)

// Customers come from 2018 to the end of 2025, in seconds since 1970.
const (
	firstCustomer = 1514764800
	lastCustomer  = 1767225599
)

// builder makes records of Schema.
type builder struct {
	plan   *plan
	record *array.RecordBuilder
	buf    []byte

	id, email, first, last, city, country *array.StringBuilder
	age                                   *array.Int32Builder
	value                                 *array.Float64Builder
	points                                *array.Int64Builder
	subscribed                            *array.BooleanBuilder
	created                               *array.TimestampBuilder
	purchase                              *array.Date32Builder
	address                               *array.StructBuilder
	street, postalCode                    *array.StringBuilder
	interests                             *array.ListBuilder
	interest                              *array.StringBuilder
}

func newBuilder(p *plan) *builder {
	r := array.NewRecordBuilder(memory.DefaultAllocator, Schema)
	text := func(i int) *array.StringBuilder { return r.Field(i).(*array.StringBuilder) }
	b := &builder{
		plan: p, record: r,
		id: text(0), email: text(1), first: text(2), last: text(3), city: text(4), country: text(5),
		age: r.Field(6).(*array.Int32Builder), value: r.Field(7).(*array.Float64Builder), points: r.Field(8).(*array.Int64Builder),
		subscribed: r.Field(9).(*array.BooleanBuilder), created: r.Field(10).(*array.TimestampBuilder),
		purchase: r.Field(11).(*array.Date32Builder), address: r.Field(12).(*array.StructBuilder), interests: r.Field(13).(*array.ListBuilder),
	}
	b.street = b.address.FieldBuilder(0).(*array.StringBuilder)
	b.postalCode = b.address.FieldBuilder(1).(*array.StringBuilder)
	b.interest = b.interests.ValueBuilder().(*array.StringBuilder)
	return b
}

// build returns a record of the rows from one number up to another. The caller releases it.
func (b *builder) build(from, end uint64) arrow.Record {
	b.record.Reserve(int(end - from))
	for i := from; i < end; i++ {
		r := b.plan.row(i)
		b.identity(i, r)
		b.profile(r.person)
	}
	return b.record.NewRecord()
}

// identity appends the customer id and the address.
func (b *builder) identity(i uint64, r row) {
	p := b.plan
	b.id.BinaryBuilder.Append(appendPadded(append(b.buf[:0], "C-"...), p.number(r.person, r.person.rank), 12))
	ok := true
	switch r.reason {
	case "", schemas.ReasonDuplicate:
		b.buf = p.appendRaw(b.buf[:0], i, r.person)
	default:
		b.buf, ok = p.appendBad(b.buf[:0], i, r)
	}
	if !ok {
		b.email.AppendNull()
		return
	}
	b.email.BinaryBuilder.Append(b.buf)
}

// profile appends the other columns. The values of a profile are the same in every row and
// every version.
func (b *builder) profile(who person) {
	r := seeded(b.plan.seed, 8, who.rank, who.turn)
	first, last := b.plan.names(who)
	if r.percent(3) {
		b.first.AppendNull()
	} else {
		b.first.Append(first.text)
	}
	b.last.Append(last.text)
	place := places[r.below(uint64(len(places)))]
	b.city.Append(place.city)
	b.country.Append(place.country)
	if r.percent(12) {
		b.age.AppendNull()
	} else {
		b.age.Append(int32(18 + r.below(40) + r.below(36)))
	}
	// Most customers are worth little, and few are worth much.
	share := float64(r.next()>>11+1) / (1 << 53)
	value := math.Round(-12_000*math.Log(share)) / 100
	b.value.Append(value)
	b.points.Append(int64(value) * int64(1+r.below(12)))
	b.subscribed.Append(r.percent(70))
	created := firstCustomer + r.below(lastCustomer-firstCustomer)
	b.created.Append(arrow.Timestamp(created*1_000_000 + r.below(1_000_000)))
	if r.percent(20) {
		b.purchase.AppendNull()
	} else {
		b.purchase.Append(arrow.Date32((created + r.below(lastCustomer-created+1)) / 86_400))
	}
	b.home(&r, place.street, place.postalCode)
	b.likes(&r)
}

func (b *builder) home(r *random, street, postalCode string) {
	if r.percent(5) {
		b.address.AppendNull()
		return
	}
	b.address.Append(true)
	b.buf = append(append(b.buf[:0], street...), ' ')
	b.buf = strconv.AppendUint(b.buf, 1+r.below(180), 10)
	b.street.BinaryBuilder.Append(b.buf)
	b.buf = appendPadded(append(b.buf[:0], postalCode...), r.below(100), 2)
	b.postalCode.BinaryBuilder.Append(b.buf)
}

func (b *builder) likes(r *random) {
	if r.percent(6) {
		b.interests.AppendNull()
		return
	}
	b.interests.Append(true)
	n := uint64(len(interests))
	start := r.below(n)
	for k := range r.below(5) {
		b.interest.Append(interests[(start+k*3)%n])
	}
}
