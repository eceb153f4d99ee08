package mapping

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// managed are the fields that identify a profile or that Iterable keeps itself,
// in lower case. Sources: Iterable's article "User Profile Fields Used by
// Iterable" (support.iterable.com, 217744303), which says that they should not be
// part of updates, and "Project Types and Unique Identifiers" (9216719179796)
// for userListIds. ip is there because Iterable derives city, region, country and
// time zone from it and overwrites what was sent. Further names beginning with
// itbl are covered by managedPrefix.
var managed = map[string]bool{
	"email":                      true,
	"userid":                     true,
	"emaillistids":               true,
	"userlistids":                true,
	"ip":                         true,
	"signupdate":                 true,
	"signupsource":               true,
	"profileupdatedat":           true,
	"phonenumberdetails":         true,
	"receivedsmsdisclaimer":      true,
	"subscribedmessagetypeids":   true,
	"unsubscribedchannelids":     true,
	"unsubscribedmessagetypeids": true,
	"devices":                    true,
	"browsertokens":              true,
}

const managedPrefix = "itbl"

// maxName is a bound on a field's name, in bytes. Iterable documents none; its
// store can't index names much longer.
const maxName = 256

// Names are those of a mapping's fields.
type Names struct {
	seen map[string]renamed // by the field's name in lower case
}

type renamed struct{ column, as string }

// Add returns the name that a column is sent under: as or, if that is empty, the last part of
// the column's name. It must be one that Iterable accepts and does not manage itself, and no
// other column's.
func (n *Names) Add(column, as string) (string, error) {
	if as == "" {
		as = column[strings.LastIndexByte(column, '.')+1:]
	}
	if err := checkName(as); err != nil {
		return as, fmt.Errorf("column %s: %w", column, err)
	}
	// Iterable would distinguish fields that differ only in case, but readers could not.
	folded := strings.ToLower(as)
	if other, ok := n.seen[folded]; ok {
		return as, fmt.Errorf("columns %s and %s would both be sent as %s and %s; rename one of them with as", other.column, column, other.as, as)
	}
	if n.seen == nil {
		n.seen = map[string]renamed{}
	}
	n.seen[folded] = renamed{column, as}
	return as, nil
}

// checkName refuses names of fields that Iterable does not accept, manages itself, or reads as
// paths. Iterable validates names that are made
// in its Data Schema Management ("Best Practices for Field Names and Event
// Names", 26821896236948): not only digits, no underscore at the start, no comma
// and no hash, a period only for nested fields. It does not say so for names that
// come through the API, but such a field can't be managed later.
func checkName(name string) error {
	if err := checkNestedName(name); err != nil {
		return err
	}
	lower := strings.ToLower(name)
	switch {
	case managed[lower] || strings.HasPrefix(lower, managedPrefix):
		return fmt.Errorf("the field %s is managed by Iterable and can't be sent; leave the column out, or rename it with as", name)
	case strings.HasPrefix(name, "_"):
		return fmt.Errorf("the field name %s begins with an underscore, which Iterable does not take; rename it with as", name)
	case strings.ContainsAny(name, ",#"):
		return fmt.Errorf("the field name %s has a comma or a hash in it, which Iterable does not take; rename it with as", name)
	case strings.Trim(name, "0123456789") == "":
		return fmt.Errorf("the field name %s is only digits, which Iterable does not take; rename it with as", name)
	}
	return nil
}

// checkNestedName is checkName for the names inside structs, which as can't
// rename: it refuses only what would arrive as something else.
func checkNestedName(name string) error {
	switch {
	case name == "":
		return errors.New("a field's name is empty; name it with as")
	case !utf8.ValidString(name):
		return fmt.Errorf("the field name %q is not valid UTF-8", name)
	case strings.Contains(name, "."):
		return fmt.Errorf("the field name %s has a dot, which Iterable reads as a path into an object; rename it with as", name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the field name %q has white space around it, which Iterable would keep", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the field name %q has a control character in it", name)
	case len(name) > maxName:
		return fmt.Errorf("the field name %s... is longer than %d bytes", strings.ToValidUTF8(name[:32], ""), maxName)
	}
	return nil
}
