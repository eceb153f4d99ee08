package schemas

import "strings"

// ShellWord returns a name quoted for a POSIX shell, for the commands that messages
// suggest.
func ShellWord(name string) string {
	if strings.ContainsAny(name, "\"\\$`!") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return `"` + name + `"`
}
