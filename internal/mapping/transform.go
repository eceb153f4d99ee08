package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// transform changes a text. The result may share its memory, and the text itself stays.
type transform func(text []byte) []byte

// emptyToNull is the one transform that decides whether there is a value.
const emptyToNull = "emptyToNull"

// transforms are the values of schemas.Field.Transform. Letters change by Unicode's simple case
// mapping, without regard to a language.
var transforms = map[string]transform{
	"trim":           bytes.TrimSpace,
	"collapseSpaces": func(text []byte) []byte { return bytes.Join(bytes.Fields(text), []byte(" ")) },
	"lowerCase":      bytes.ToLower,
	"upperCase":      bytes.ToUpper,
	"titleCase":      titleCase,
	emptyToNull:      func(text []byte) []byte { return text },
}

// titleCase begins each word with a capital. A word also begins after a hyphen, and goes on
// after an apostrophe.
func titleCase(text []byte) []byte {
	within := false
	return bytes.Map(func(r rune) rune {
		out := unicode.ToTitle(r)
		if within {
			out = unicode.ToLower(r)
		}
		within = unicode.In(r, unicode.L, unicode.M, unicode.N) || within && (r == '\'' || r == '’')
		return out
	}, text)
}

// transformed writes changed texts as JSON strings.
type transformed struct {
	texts
	steps     []transform
	emptyNull bool // an empty text is null
}

// change returns the text of a row after all steps.
func (e *transformed) change(i int) []byte {
	text := e.At(i)
	if !utf8.Valid(text) {
		return text // append says so
	}
	for _, step := range e.steps {
		text = step(text)
	}
	return text
}

func (e *transformed) null(i int) bool {
	return e.texts.null(i) || e.emptyNull && len(e.change(i)) == 0
}

func (e *transformed) append(dst []byte, i int) ([]byte, string) {
	if problem := e.roomFor(dst, len(e.At(i))); problem != "" {
		return dst, problem
	}
	text := e.change(i)
	if !utf8.Valid(text) {
		return dst, e.invalid
	}
	return batch.AppendString(dst, text), ""
}

// constant writes the same JSON in each row.
type constant []byte

func (constant) null(int) bool                               { return false }
func (c constant) append(dst []byte, _ int) ([]byte, string) { return append(dst, c...), "" }

// appendLiteral appends a literal as Iterable's fields have it.
func appendLiteral(dst []byte, l schemas.Literal) []byte {
	if text, ok := l.Text(); ok {
		return batch.AppendString(dst, []byte(text))
	}
	return append(dst, l...)
}

// literalKind returns the kind of a literal.
func literalKind(l schemas.Literal) string {
	if l.IsBoolean() {
		return KindBoolean
	}
	if _, ok := l.Text(); ok {
		return KindString
	}
	if _, err := strconv.ParseInt(string(l), 10, 64); err == nil {
		return KindLong
	}
	return KindDouble
}

// CheckField checks the parts of a field of a mapping that do not depend on its column.
func CheckField(f schemas.Field) error {
	switch {
	case f.Value != "" && (f.Column != "" || f.Type != "" || f.Transform != nil || f.Nulls != "" || f.Default != ""):
		return errors.New("a field with a value is a constant; of the other settings it can only have as")
	case f.Value != "" && f.As == "":
		return errors.New("a field with a value needs a name; set as")
	case f.Value == "" && f.Column == "":
		return errors.New("a field has neither a column nor a value; set one of them")
	case f.Default != "" && f.Nulls != "":
		return fmt.Errorf("column %s: nulls has no effect beside default; leave it out", f.Column)
	}
	return nil
}

// checkTransform checks the transforms and the default of a column of a kind.
func (c Column) checkTransform(kind string) error {
	text := isText(columnar.Decoded(c.Type)) && (c.Forced == "" || c.Forced == forceString)
	for _, name := range c.Transform {
		if transforms[name] == nil {
			return fmt.Errorf("transform %q is not known", name)
		}
	}
	if len(c.Transform) > 0 && !text && c.Type.ID() != arrow.NULL {
		return fmt.Errorf("transform changes texts, and the column has the type %s", strings.TrimSpace(c.Type.String()+" "+c.Forced))
	}
	if c.Default == "" {
		return nil
	}
	own := literalKind(c.Default)
	_, isList := columnar.Decoded(c.Type).(arrow.ListLikeType)
	if isList || kind == KindObject || c.Forced == forceArray {
		return errors.New("default is a text, a number or a boolean, and the column has lists or objects")
	}
	if own != kind && kind != KindUnknown && (kind != KindDouble || own != KindLong) && (kind != KindDate || own != KindString) {
		return fmt.Errorf("default is a %s in Iterable, and the column's values are of the type %s", own, kind)
	}
	return nil
}
