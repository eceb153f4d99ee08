package schemas

import (
	"strings"
	"testing"
)

func TestWorkflowIDsAreASCIIAndLeadBack(t *testing.T) {
	for _, name := range []string{"Spring campaign", "Høst «1»", "50% off / north", "%2F", "\x00\n", "日本"} {
		id := RunWorkflowID(name)
		for _, c := range []byte(id) {
			if c < ' ' || c > '~' {
				t.Errorf("%q has the id %q", name, id)
			}
		}
		if got, ok := ExportOfRun(id); !ok || got != name {
			t.Errorf("%q: the id %q leads to %q, %v", name, id, got, ok)
		}
	}
	if got, ok := ExportOfRun(SegmentWorkflowID("a", "b")); ok {
		t.Errorf("a segment's id leads to export %q", got)
	}
	if SegmentWorkflowID("a/b", "c") == SegmentWorkflowID("a", "b/c") {
		t.Error("two segments have one id")
	}
}

func TestPathNamesKeepNamesApart(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a b", "a-b", "A B", "", "..", "/", "日本", "日", string(make([]byte, 5000))} {
		path := PathName(name)
		if other, ok := seen[path]; ok {
			t.Errorf("%.20q and %.20q are both %q", name, other, path)
		}
		seen[path] = name
		if i := strings.LastIndex(path, "-"); len(path)-i-1 < 128/4 {
			t.Errorf("%.20q keeps %d hex digits of its hash", name, len(path)-i-1)
		}
		if len(path) > 64 {
			t.Errorf("%.20q: %d bytes", name, len(path))
		}
		for _, c := range []byte(path) {
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				t.Errorf("%.20q becomes %q", name, path)
			}
		}
	}
}
