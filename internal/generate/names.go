package generate

import (
	"cmp"
	"slices"
	"strings"
)

// name is a person's name as written, and its form in addresses.
type name struct{ text, ascii string }

// Names by their form in addresses, in ascending order, so that profiles can be listed in the
// order of their addresses without sorting.
var (
	firstNames = names(`Ada Agnes Ahmed Alice Amara Ana Ann Anna Ben Bola Bruno Carla Chen Clara Daniel Diego
		Ella Emma Erik Farid Felix Fiona Frieda George Gita Grace Hanna Henry Hugo Inês=ines Ivan Jack
		Jörg=joerg Julia Karim Kenji Lars Lena Leo Lucie Marco Maria Mats Mei Mohammed Nina Noah Nora
		Olga Oscar Pablo Priya Quinn Rania Rosa Sam Stella Sven Tomasz Uma Viktor Wanda Yuki Zoé=zoe`)
	lastNames = names(`Abbott Aziz Baker Bell Bellamy Benali Berg Blanc Carter Conti Costa Davies Dubois Dupont Eriksson Evans
		Fischer Fontaine Garcia Gruber Haddad Hansen Holm Horák=horak Hughes Ito Jansen Jensen Keller Kelly Kim Klein
		Kowalski Lang Larsen Lee Lind Martin Meyer Molina Moreau Morgan Mori Müller=mueller Novák=novak Nyman O'Neill=oneill Okafor
		Park Patel Petrov Raman Ríos=rios Rossi Santos Schmidt Shah Silva Svensson Taylor Vega Weber Winter Zieliński=zielinski`)
)

// names parses names separated by white space. A name can be followed by an equals sign and its
// form in addresses; the default is the name in lower case.
func names(list string) []name {
	var out []name
	for _, word := range strings.Fields(list) {
		text, ascii, ok := strings.Cut(word, "=")
		if !ok {
			ascii = strings.ToLower(text)
		}
		out = append(out, name{text, ascii})
	}
	slices.SortFunc(out, func(a, b name) int { return cmp.Compare(a.ascii, b.ascii) })
	return out
}

// domain is the domain of an address, as written and normalised.
type domain struct{ raw, sent string }

// domains are below those that RFC 2606 reserves for examples, so that no real mailbox is named.
// The last is rare.
var domains = []domain{
	{"example.com", "example.com"}, {"example.com", "example.com"}, {"example.org", "example.org"}, {"example.net", "example.net"},
	{"mail.example.com", "mail.example.com"}, {"shop.example.org", "shop.example.org"}, {"post.example.net", "post.example.net"},
	{"münchen.example.com", "xn--mnchen-3ya.example.com"},
}

var places = []struct{ city, country, street, postalCode string }{
	{"London", "United Kingdom", "Marsh Lane", "E8 "}, {"Zürich", "Switzerland", "Seestrasse", "80"}, {"Chicago", "United States", "Elm Street", "606"},
	{"Lyon", "France", "rue des Lilas", "690"}, {"Göteborg", "Sweden", "Storgatan", "411 "}, {"Dublin", "Ireland", "Harbour Road", "D"},
	{"Kraków", "Poland", "ul. Polna", "30-0"}, {"Toronto", "Canada", "Maple Avenue", "M4C 1B"}, {"München", "Germany", "Gartenweg", "803"},
	{"Sevilla", "Spain", "Calle Nueva", "410"}, {"東京", "Japan", "桜通り", "100-00"}, {"São Paulo", "Brazil", "Rua Nova", "010"},
}

var interests = []string{"books", "cooking", "cycling", "fashion", "gardening", "music", "photography", "running", "travel", "wine"}
