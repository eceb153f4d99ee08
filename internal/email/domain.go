package email

import (
	"bytes"
	"maps"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"iterable-segment-export/schemas"
)

// checkDomain checks a domain in lower-case ASCII that belongs to an address of
// so many bytes.
func checkDomain(domain []byte, address int, o Options) schemas.Reason {
	if address > maxAddress {
		return schemas.ReasonTooLong
	}
	labels, numbers, numeric := 0, 0, true // numeric: the label is all digits
	start := 0
	for i := 0; i <= len(domain); i++ {
		if i < len(domain) && domain[i] != '.' {
			switch c := domain[i]; {
			case c >= '0' && c <= '9':
			case c >= 'a' && c <= 'z', c == '-':
				numeric = false
			case c >= utf8.RuneSelf, c == '_':
				return schemas.ReasonDomainSyntax
			default:
				// Brackets, commas and the like: not a domain that is wrong, but
				// something else than an address.
				return schemas.ReasonSyntax
			}
			continue
		}
		label := domain[start:i]
		if len(label) == 0 || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return schemas.ReasonDomainSyntax
		}
		labels++
		if numeric {
			numbers++
		}
		if i < len(domain) {
			start, numeric = i+1, true
		}
	}
	tld := domain[start:]
	switch {
	case numbers == 4 && labels == 4:
		return schemas.ReasonIPLiteral
	case labels == 1:
		return schemas.ReasonNoTLD
	case numeric:
		return schemas.ReasonDomainSyntax
	case string(domain) == placeholderDomain:
		return schemas.ReasonPlaceholder
	case !o.AllowUnknownTLD && !tlds.known(tld):
		return schemas.ReasonUnknownTLD
	}
	return ""
}

// toASCII converts domains as a browser does before it looks them up. Lengths
// are left to checkDomain.
var toASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true),
	idna.StrictDomainName(true), idna.VerifyDNSLength(false), idna.Transitional(false))

// hasACE reports whether a label of the domain is in the ASCII form of an
// international one already, which can be wrong in ways of its own.
func hasACE(domain []byte) bool {
	for i := 0; i+4 <= len(domain); i++ {
		if domain[i+2] == '-' && domain[i+3] == '-' && domain[i]|0x20 == 'x' && domain[i+1]|0x20 == 'n' {
			return true
		}
	}
	return false
}

// international normalises an address with an international domain.
func international(local, domain, buf []byte, o Options) ([]byte, schemas.Reason) {
	if len(domain) > mostUnicodeDomain {
		return nil, schemas.ReasonTooLong
	}
	if !utf8.Valid(domain) {
		return nil, schemas.ReasonDomainSyntax
	}
	if bytes.ContainsAny(domain, " <>()[]\\,;:\"") {
		return nil, schemas.ReasonSyntax
	}
	ascii, err := toASCII.ToASCII(string(domain))
	if err != nil || len(ascii) == 0 {
		if bytes.ContainsFunc(domain, isJoiner) {
			return nil, schemas.ReasonControlCharacter
		}
		return nil, schemas.ReasonDomainSyntax
	}
	out := append(lower(buf, local), '@')
	out = append(out, ascii...)
	if reason := checkDomain(out[len(local)+1:], len(out), o); reason != "" {
		return nil, reason
	}
	return out, ""
}

// tlds are the top-level domains that have been met and that the public suffix
// list knows.
var tlds tldSet

// tldSet remembers the known ones among the top-level domains that it is asked
// for. It can't grow beyond the public suffix list, whatever the input.
type tldSet struct {
	met atomic.Pointer[map[string]bool]
	mu  sync.Mutex
}

// known reports whether the ICANN part of the public suffix list has this
// top-level domain, given in lower-case ASCII.
func (s *tldSet) known(tld []byte) bool {
	if met := s.met.Load(); met != nil && (*met)[string(tld)] {
		return true
	}
	name := string(tld)
	if !listed(name) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]bool{name: true}
	if met := s.met.Load(); met != nil {
		maps.Copy(next, *met)
	}
	s.met.Store(&next)
	return true
}

// listed asks the list itself, also for domains that have entries only below
// them.
func listed(tld string) bool {
	for _, domain := range []string{tld, "a." + tld} {
		if _, icann := publicsuffix.PublicSuffix(domain); icann {
			return true
		}
	}
	return false
}

// Unicode returns an address in normalised form with its domain in Unicode, and reports
// whether that differs.
func Unicode(address []byte) (other []byte, differs bool) {
	at := bytes.LastIndexByte(address, '@')
	if !hasACE(address[at+1:]) {
		return address, false
	}
	domain, err := idna.Display.ToUnicode(string(address[at+1:]))
	if err != nil {
		return address, false
	}
	other = append(bytes.Clone(address[:at+1]), domain...)
	return other, !bytes.Equal(other, address)
}
