package console

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// hostile are names of files, columns or exports that try to control the terminal.
var hostile = []string{
	"\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x1b[31mred\x1b[0m", "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
	"\u009b31m", "\u009d0;title\u009c", "a\rb", "a\bb", "\x7f", "\x00", "\u202egnp.exe", "\u2066x\u2069", "\u2028", "\ufeff", "\xff\xfe", "\ue000",
}

func harmless(t *testing.T, text, of string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Co)) {
			t.Errorf("%q of %q lets %U through", text, of, r)
		}
	}
}

func TestNothingButTextReachesATerminal(t *testing.T) {
	for _, s := range hostile {
		harmless(t, Printable(s), s)
		for n := range len(s) { // written in two pieces
			var out bytes.Buffer
			f := NewFilter(&out)
			for _, part := range []string{s[:n], s[n:], "end\n"} {
				if wrote, err := f.Write([]byte(part)); wrote != len(part) || err != nil {
					t.Fatal(wrote, err)
				}
			}
			harmless(t, out.String(), s)
			if !strings.HasSuffix(out.String(), "end\n") {
				t.Errorf("%q becomes %q", s, out.String())
			}
		}
		var out bytes.Buffer
		if err := JSON(&out, map[string]string{"x": s}); err != nil {
			t.Fatal(err)
		}
		harmless(t, out.String(), s)
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["x"] != strings.ToValidUTF8(s, "\ufffd") && s != "\xff\xfe" {
			t.Errorf("%q is %q once read again, %v", s, back["x"], err)
		}
	}
	for _, s := range []string{"Zoë Ünal", "山田　太郎", "נועה", "می\u200cخواهم", "👩‍👩‍👧", "12 000", "a\tb\nc"} {
		var out bytes.Buffer
		if _, err := NewFilter(&out).Write([]byte(s)); err != nil || out.String() != s {
			t.Errorf("%q becomes %q, %v", s, out.String(), err)
		}
	}
}

// TestATerminalGetsItsColours and no other sequence.
func TestATerminalGetsItsColours(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[32mdone\x1b[0m":       "\x1b[32mdone\x1b[0m",
		"\x1b[31mred\x1b[2J":        "\x1b[31mred\ufffd[2J",
		"\x1b[8mhidden\x1b[38;5;1m": "\ufffd[8mhidden\ufffd[38;5;1m",
	} {
		for n := range len(in) {
			var out bytes.Buffer
			f := &Filter{w: &out, colours: true}
			for _, part := range []string{in[:n], in[n:], "."} {
				if _, err := f.Write([]byte(part)); err != nil {
					t.Fatal(err)
				}
			}
			if out.String() != want+"." {
				t.Errorf("%q becomes %q", in, out.String())
			}
		}
	}
}

func TestACellIsNoFormula(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "ann@example.com": "ann@example.com", "=1+1": "'=1+1", "+49 30": "'+49 30", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)",
		"\t=1": "\ufffd=1", "\r=1": "\ufffd=1", "＝1+1": "'＝1+1", "\n=1": "\ufffd=1",
		// Where semicolons separate cells.
		"a;=1+1": "a;'=1+1", `a; "=1"`: `a;' "=1"`, ";-1;;+2": ";'-1;;'+2", `"=1`: `'"=1`, "a=1;b": "a=1;b",
	} {
		if got := Cell(in); got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
	}
}
