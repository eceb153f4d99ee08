package main

import (
	"strings"
	"testing"

	"iterable-segment-export/internal/dial"
)

// TestAdvice has the commands for what the caller may not create.
func TestAdvice(t *testing.T) {
	var out strings.Builder
	advise(&out, "exports.a1b2c", []dial.Attribute{
		{Name: "ExportName", Type: "Keyword", Has: "Keyword"},
		{Name: "ExportState", Type: "Keyword", Has: "Text"},
		{Name: "ProfilesSent", Type: "Int"},
		{Name: "SegmentName", Type: "Keyword"},
	}, "permission denied")
	for _, want := range []string{
		"permission denied",
		"ExportState has type Text and must be Keyword",
		"temporal operator search-attribute create --namespace exports.a1b2c \\\n    --name ProfilesSent --type Int \\\n    --name SegmentName --type Keyword\n",
		"tcld namespace search-attributes add --namespace exports.a1b2c \\\n    --sa \"ProfilesSent=Int\" \\\n    --sa \"SegmentName=Keyword\"\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "ExportName") {
		t.Errorf("advises to create what exists:\n%s", out.String())
	}
}
