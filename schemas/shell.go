package schemas

import "strings"

// ShellWord writes a name as a POSIX shell reads it back, for the commands that
// people are told to type.
func ShellWord(name string) string {
	if strings.ContainsAny(name, "\"\\$`!") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return `"` + name + `"`
}
