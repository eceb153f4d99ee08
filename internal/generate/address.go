package generate

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"

	"iterable-segment-export/schemas"
)

// badKinds are the reasons of bad rows, in turn: first each reason, so that small segments have
// them all, and then the common ones again.
var badKinds = []schemas.Reason{
	schemas.ReasonMissing, schemas.ReasonSyntax, schemas.ReasonUnknownTLD, schemas.ReasonDots, schemas.ReasonNonASCIILocal,
	schemas.ReasonNoTLD, schemas.ReasonDomainSyntax, schemas.ReasonControlCharacter, schemas.ReasonPlaceholder, schemas.ReasonIPLiteral,
	schemas.ReasonQuotedLocal, schemas.ReasonLocalTooLong, schemas.ReasonTooLong,
	schemas.ReasonMissing, schemas.ReasonSyntax, schemas.ReasonUnknownTLD, schemas.ReasonMissing, schemas.ReasonSyntax,
}

// badForms are ways to write a bad address, by reason; %s is a good local part.
var badForms = map[schemas.Reason][]string{
	schemas.ReasonMissing:          {"", "", " ", "\t", "\u00a0"},
	schemas.ReasonSyntax:           {"%s", "%s@", "@example.com", "%s(at)example.com", "%s@home@example.com", "Me <%s@example.com>", "%s@example.com, x@example.com", "%s @example.com", "n/a"},
	schemas.ReasonUnknownTLD:       {"%s@example.con", "%s@example.comm", "%s@example.invalid", "%s@mail.example.test"},
	schemas.ReasonDots:             {".%s@example.com", "%s.@example.org", "x..%s@example.com"},
	schemas.ReasonNonASCIILocal:    {"%sé@example.com", "jörg.%s@example.org", "用户%s@example.net"},
	schemas.ReasonNoTLD:            {"%s@localhost", "%s@example", "%s@com"},
	schemas.ReasonDomainSyntax:     {"%s@example..com", "%s@-example.com", "%s@example.com.", "%s@exa_mple.com", "%s@example.123"},
	schemas.ReasonControlCharacter: {"%s\x00@example.com", "%s@exam\tple.com", "\u200b%s@example.com", "%s@example.com\nBcc: x@example.com", "\u202e%s@example.com"},
	schemas.ReasonPlaceholder:      {"%s@placeholder.email", "%s@Placeholder.Email"},
	schemas.ReasonIPLiteral:        {"%s@[192.0.2.1]", "%s@192.0.2.7", "%s@[IPv6:2001:db8::1]"},
	schemas.ReasonQuotedLocal:      {`"%s"@example.com`, `"%s at home"@example.org`},
	schemas.ReasonLocalTooLong:     {"%s." + strings.Repeat("newsletter.", 6) + "shop@example.com"},
	schemas.ReasonTooLong:          {"%s@" + strings.Repeat(strings.Repeat("mail", 12)+".", 5) + "example.com"},
}

// names returns the person's first and last name.
func (p *plan) names(who person) (first, last name) {
	pair, _ := p.pair(who)
	n := uint64(len(lastNames))
	return firstNames[pair/n], lastNames[pair%n]
}

// pair returns the pair of names of the person's rank, and the number of the rank
// among those of that pair. Ranks are spread evenly over the pairs.
func (p *plan) pair(who person) (pair, within uint64) {
	pair = muldiv(who.rank, p.pairs(), p.rows)
	start := muldiv(pair, p.rows, p.pairs())
	if muldiv(start, p.pairs(), p.rows) < pair {
		start++
	}
	return pair, who.rank - start
}

// muldiv returns a*b/c.
func muldiv(a, b, c uint64) uint64 {
	high, low := bits.Mul64(a, b)
	q, _ := bits.Div64(high, low, c)
	return q
}

// number returns the profile's number among all profiles of the ranks from the given one on.
func (p *plan) number(who person, rank uint64) uint64 {
	first := seeded(p.seed, 4, who.rank)
	return rank*occupants + (first.next()+who.turn)%occupants
}

// appendLocal appends the local part of the person's address: first name, dot, last name, and a
// number of fixed width, which keeps the order.
func (p *plan) appendLocal(b []byte, who person) []byte {
	first, last := p.names(who)
	_, within := p.pair(who)
	b = append(b, first.ascii...)
	b = append(b, '.')
	b = append(b, last.ascii...)
	return appendPadded(b, p.number(who, within), p.numberWidth)
}

// appendPadded appends a number with zeroes before it.
func appendPadded(b []byte, n uint64, width int) []byte {
	start := len(b)
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; i >= start; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// domain returns the person's domain.
func (p *plan) domain(who person) domain {
	r := seeded(p.seed, 5, who.rank, who.turn)
	if last := uint64(len(domains) - 1); !r.percent(1) {
		return domains[r.below(last)]
	}
	return domains[len(domains)-1]
}

// appendAddress appends the normalised address.
func (p *plan) appendAddress(b []byte, who person) []byte {
	b = append(p.appendLocal(b, who), '@')
	return append(b, p.domain(who).sent...)
}

// appendRaw appends the address in row i: sometimes in capitals, or with white space around it.
func (p *plan) appendRaw(b []byte, i uint64, who person) []byte {
	r := seeded(p.seed, 6, i)
	kind := r.below(100)
	if kind >= 94 && kind < 96 {
		b = append(b, " \u00a0"...)
	}
	start := len(b)
	b = append(p.appendLocal(b, who), '@')
	b = append(b, p.domain(who).raw...)
	switch {
	case kind < 4: // Ann.bell@example.com
		b[start] -= 'a' - 'A'
	case kind < 6:
		copy(b[start:], bytes.ToUpper(b[start:])) // the same length in UTF-8: see the domains
	case kind >= 95 && kind < 97:
		b = append(b, " \r\n"...)
	}
	return b
}

// appendBad appends the bad address of row i; false means that the value is null.
func (p *plan) appendBad(b []byte, i uint64, r row) ([]byte, bool) {
	rnd := seeded(p.seed, 7, i)
	forms := badForms[r.reason]
	choice := rnd.below(uint64(len(forms)))
	form := forms[choice]
	if r.reason == schemas.ReasonMissing && choice == 0 {
		return b, false
	}
	if !strings.Contains(form, "%s") {
		return append(b, form...), true
	}
	return fmt.Appendf(b, form, p.appendLocal(nil, r.person)), true
}
