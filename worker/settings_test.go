package main

import (
	"strings"
	"testing"
)

// TestASettingThatCantBeRead is named, with its value, and in no library's words.
func TestASettingThatCantBeRead(t *testing.T) {
	for name, value := range map[string]string{"STAGING_SLOTS": "abc", "STOP_TIMEOUT": "soon", "API_RATE": "fast"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := readSettings()
			if err == nil || !strings.Contains(err.Error(), "invalid "+name+` "`+value+`"`) || strings.Contains(err.Error(), "strconv") || strings.Contains(err.Error(), "envconfig") {
				t.Errorf("%v", err)
			}
		})
	}
}
