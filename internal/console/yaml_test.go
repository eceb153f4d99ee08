package console

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestYAMLHoldsWhatJSONDoes, whatever a text looks like, and passes the filter as it is.
func TestYAMLHoldsWhatJSONDoes(t *testing.T) {
	for _, text := range []string{
		"", " lead", "trail ", "a\nb", "a\r\nb", "\ta", "a\tb", "a\x1b[31mb", "\u202eabc", "x\u0085y", "\u00a0", "\u2028x", "\ufeffx", "😀", "\U000e0001x",
		"---", "--- x", "...", "-", "- a", "-1", "+1", "1e3", "0x1f", "0o7", "1_000", ".inf", "1:30", "2026-01-01", "2026-01-01T00:00:00Z",
		"~", "null", "true", "yes", "No", "=1+1", "<<", "? a", "?", ": a", "a: b", "a:b", "key:", "#x", "a #b", "'q'", "a'b", `"dq"`, `back\slash`,
		"@x", "`x", "%x", "|", "> x", "&a", "*a", "!t", "[a]", "{a}", "a,b",
	} {
		v := map[string]any{"text": text, "list": []any{text, map[string]any{"in": text}}}
		var out, filtered bytes.Buffer
		if err := YAMLDocument(&out, v); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var got any
		if err := yaml.Unmarshal(out.Bytes(), &got); err != nil {
			t.Errorf("%q: %v\n%s", text, err, out.String())
			continue
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &got); err != nil || !reflect.DeepEqual(got, any(v)) {
			t.Errorf("%q comes back as %s, %v:\n%s", text, again, err, out.String())
		}
		if _, err := NewFilter(&filtered).Write(out.Bytes()); err != nil || !bytes.Equal(filtered.Bytes(), out.Bytes()) {
			t.Errorf("%q does not pass the filter: %v\n%s", text, err, out.String())
		}
	}
}
