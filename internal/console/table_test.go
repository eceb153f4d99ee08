package console

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestTablesFitTheWidth checks that tables fit COLUMNS without losing a word.
func TestTablesFitTheWidth(t *testing.T) {
	header := []string{"export", "note", "sent", "run"}
	rows := [][]string{
		{"Spring campaign", "it waits for somebody to look at the key\nof the connection", "1,234,567", "01a20aa6-9f64-7d01-93b5-d6abbdf93115"},
		{"Newsletter", "", "12", "01a20aa6-9f6a-7cd9-80e7-c81b32c243b6"},
	}
	words := strings.Fields(strings.Join(append(rows[0], rows[1]...), " "))
	for columns, want := range map[string]string{
		"": ` export          │ note                                     │      sent │ run                                  `,
		"80": ` export       │ note         │      sent │ run                                  
──────────────┼──────────────┼───────────┼──────────────────────────────────────
 Spring       │ it waits for │ 1,234,567 │ 01a20aa6-9f64-7d01-93b5-d6abbdf93115 
 campaign     │ somebody to  │           │                                      
              │ look at the  │           │                                      
              │ key          │           │                                      
              │ of the       │           │                                      
              │ connection   │           │                                      
 Newsletter   │              │        12 │ 01a20aa6-9f6a-7cd9-80e7-c81b32c243b6 
`,
		"60": `export  Spring campaign
note    it waits for somebody to look at the key
        of the connection
sent    1,234,567
run     01a20aa6-9f64-7d01-93b5-d6abbdf93115

export  Newsletter
sent    12
`,
		"48": `export  Spring campaign
note    it waits for somebody to look at the key
        of the connection
`,
		"30": `export  Spring campaign
note    it waits for somebody
        to look at the key
`,
	} {
		t.Run(columns, func(t *testing.T) {
			t.Setenv("COLUMNS", columns)
			var out bytes.Buffer
			Table(&out, header, rows, "sent")
			if !strings.HasPrefix(out.String(), want) {
				t.Errorf("\n%s, want it to begin\n%s", &out, want)
			}
			for _, word := range words {
				if !strings.Contains(out.String(), word) {
					t.Errorf("lacks %q:\n%s", word, &out)
				}
			}
			if n := widthOf(&out); n > 44 { // the length of an id that stays whole
				for line := range strings.Lines(out.String()) {
					if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > n {
						t.Errorf("wider than %d: %q", n, line)
					}
				}
			}
		})
	}
}

func TestOnlyATerminalIsColoured(t *testing.T) {
	var out bytes.Buffer
	if got := Paint(&out, Bad, "failed") + State(&out, "done"); got != "faileddone" {
		t.Errorf("%q", got)
	}
}
