package generate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/schemas"
)

var (
	firstNames = strings.Fields("Ann Bob Carla Dmitri Elif Femi Grace Hiro Ines Jonas Kavya Liam Maja Noor Olga Pavel Quinn Rosa Sven Tuva Umar Vera Wei Ximena Yusuf Zoe")
	lastNames  = strings.Fields("Abebe Bell Costa Dahl Evans Fischer Garcia Hansen Ivanov Jensen Kim Lindholm Moreau Nowak Okafor Petrov Quist Rossi Silva Tanaka Usman Virtanen Weber Xu Yilmaz Zhang")
	places     = [][2]string{{"Oslo", "NO"}, {"Bergen", "NO"}, {"London", "GB"}, {"Paris", "FR"}, {"Berlin", "DE"}, {"Madrid", "ES"}, {"Lagos", "NG"}, {"Tokyo", "JP"}, {"Lima", "PE"}, {"Austin", "US"}}
	domains    = []string{"example.com", "example.org", "example.net", "mail.example.com", "shop.example.org"}
	interests  = strings.Fields("books cycling gardening music running sailing skiing travel wine yoga")
	firstDay   = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
)

// population makes up the rows of a segment one after the other.
type population struct {
	o        Options
	row      int64
	build    *array.RecordBuilder
	expected Expected
	text     []byte // the addresses that the list is to hold, one behind the other
	ends     []int  // where each of them ends
	buf      []byte
}

func newPopulation(o Options) *population {
	return &population{
		o: o, build: array.NewRecordBuilder(memory.DefaultAllocator, Schema),
		expected: Expected{Rows: o.Rows, Rejected: map[schemas.Reason]int64{}},
	}
}

// record makes up the next n rows.
func (p *population) record(n int) arrow.Record {
	for range n {
		p.person(p.row)
		p.row++
	}
	return p.build.NewRecord()
}

// Purposes of dice.
const (
	forKind uint64 = iota + 1
	forPerson
	forChurn
)

// newcomers is where the numbers of those begin who took others' places.
const newcomers = 1 << 40

// who is the number of the person in a row.
func (p *population) who(row int64) (number int64, new bool) {
	if p.o.Churn > 0 && dice(p.o.Seed, row, forChurn).Float64() < p.o.Churn {
		return row + newcomers, true
	}
	return row, false
}

// person adds one row. The address of row n is n's own, so that nobody comes
// twice by chance.
func (p *population) person(row int64) {
	number, isNew := p.who(row)
	r := dice(p.o.Seed, number, forPerson)
	first, last := pick(r, firstNames), pick(r, lastNames)
	p.address(row, number, isNew, first, last, pick(r, domains))
	place := places[r.IntN(len(places))]
	text := func(column int, s string) { p.build.Field(column).(*array.StringBuilder).Append(s) }
	text(0, fmt.Sprintf("C%09d", number))
	text(2, first)
	text(3, last)
	text(4, place[0])
	text(5, place[1])
	if age := p.build.Field(6).(*array.Int32Builder); r.IntN(10) == 0 {
		age.AppendNull()
	} else {
		age.Append(18 + r.Int32N(72))
	}
	p.build.Field(7).(*array.Float64Builder).Append(float64(r.IntN(1_000_000)) / 100)
	p.build.Field(8).(*array.Int64Builder).Append(r.Int64N(50_000))
	p.build.Field(9).(*array.BooleanBuilder).Append(r.IntN(3) > 0)
	created := firstDay.Add(time.Duration(r.Int64N(10*365*24*3600)) * time.Second)
	p.build.Field(10).(*array.TimestampBuilder).Append(arrow.Timestamp(created.UnixMicro()))
	p.build.Field(11).(*array.Date32Builder).Append(arrow.Date32FromTime(created.AddDate(0, 0, r.IntN(365))))
	address := p.build.Field(12).(*array.StructBuilder)
	address.Append(true)
	address.FieldBuilder(0).(*array.StringBuilder).Append(fmt.Sprintf("%d %s Street", 1+r.IntN(200), last))
	address.FieldBuilder(1).(*array.StringBuilder).Append(fmt.Sprintf("%05d", r.IntN(100_000)))
	list := p.build.Field(13).(*array.ListBuilder)
	list.Append(true)
	for range r.IntN(4) {
		list.ValueBuilder().(*array.StringBuilder).Append(pick(r, interests))
	}
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// address adds a row's address: mostly a good one, as it is or untidy, sometimes
// one that can't be mailed or that an earlier row has.
func (p *population) address(row, number int64, isNew bool, first, last, domain string) {
	column := p.build.Field(1).(*array.StringBuilder)
	r := dice(p.o.Seed, row, forKind)
	switch chance := r.Float64(); {
	case chance < p.o.Bad:
		b := bad[r.IntN(len(bad))]
		p.expected.Rejected[b.reason]++
		if b.null {
			column.AppendNull()
			return
		}
		column.Append(b.value(number))
		return
	case chance < 2*p.o.Bad && len(p.ends) > 0:
		p.expected.Duplicates++
		column.Append(strings.ToUpper(p.kept(r.IntN(len(p.ends)))))
		return
	}
	p.buf = fmt.Appendf(p.buf[:0], "%s.%s.%d@%s", first, last, number, domain)
	switch r.IntN(25) {
	case 0:
		column.Append(strings.ToUpper(string(p.buf)))
	case 1:
		column.Append(" " + string(p.buf) + "\t")
	default:
		column.BinaryBuilder.Append(p.buf)
	}
	p.expected.Valid++
	if isNew {
		p.expected.Joined++
	}
	p.text = append(p.text, bytes.ToLower(p.buf)...)
	p.ends = append(p.ends, len(p.text))
}

// kept is the i-th address that the list is to hold.
func (p *population) kept(i int) string {
	start := 0
	if i > 0 {
		start = p.ends[i-1]
	}
	return string(p.text[start:p.ends[i]])
}

// badAddress is a way in which an address can't be mailed.
type badAddress struct {
	reason schemas.Reason
	null   bool
	value  func(number int64) string
}

var bad = []badAddress{
	{reason: schemas.ReasonMissing, null: true},
	{reason: schemas.ReasonMissing, value: func(int64) string { return "  " }},
	{reason: schemas.ReasonSyntax, value: func(n int64) string { return fmt.Sprintf("customer%d.example.com", n) }},
	{reason: schemas.ReasonSyntax, value: func(n int64) string { return fmt.Sprintf("two words%d@example.com", n) }},
	{reason: schemas.ReasonLocalTooLong, value: func(int64) string { return strings.Repeat("l", 65) + "@example.com" }},
	{reason: schemas.ReasonTooLong, value: func(int64) string { return "t@" + strings.Repeat("long.", 55) + "example.com" }},
	{reason: schemas.ReasonDots, value: func(n int64) string { return fmt.Sprintf("dots..%d@example.com", n) }},
	{reason: schemas.ReasonNonASCIILocal, value: func(n int64) string { return fmt.Sprintf("jürgen%d@example.com", n) }},
	{reason: schemas.ReasonQuotedLocal, value: func(n int64) string { return fmt.Sprintf("\"q%d\"@example.com", n) }},
	{reason: schemas.ReasonIPLiteral, value: func(n int64) string { return fmt.Sprintf("ip%d@[192.0.2.7]", n) }},
	{reason: schemas.ReasonDomainSyntax, value: func(n int64) string { return fmt.Sprintf("d%d@-example.com", n) }},
	{reason: schemas.ReasonNoTLD, value: func(n int64) string { return fmt.Sprintf("n%d@localhost", n) }},
	{reason: schemas.ReasonUnknownTLD, value: func(n int64) string { return fmt.Sprintf("u%d@example.invalid", n) }},
	{reason: schemas.ReasonPlaceholder, value: func(n int64) string { return fmt.Sprintf("c%d@placeholder.email", n) }},
	{reason: schemas.ReasonControlCharacter, value: func(n int64) string { return fmt.Sprintf("c%d\x07@example.com", n) }},
}

// finish adds up what is expected.
func (p *population) finish() Expected {
	p.build.Release()
	p.expected.Left = p.expected.Joined
	order := make([]int, len(p.ends))
	for i := range order {
		order[i] = i
	}
	at := func(i int) []byte {
		if i == 0 {
			return p.text[:p.ends[0]]
		}
		return p.text[p.ends[i-1]:p.ends[i]]
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(at(a), at(b)) })
	sum := sha256.New()
	for k, i := range order {
		if k > 0 {
			sum.Write([]byte{'\n'})
		}
		sum.Write(at(i))
	}
	p.expected.Digest = hex.EncodeToString(sum.Sum(nil))
	return p.expected
}
