package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"iterable-segment-export/schemas"
)

// sandboxURL is where the sandbox answers by default. SandboxPort is the variable with its
// port, if that is another one.
const (
	sandboxURL  = "http://127.0.0.1:8234"
	SandboxPort = "ITERABLE_SANDBOX_PORT"
)

// sandboxAddress returns the URL of the sandbox on this machine.
func sandboxAddress() (string, error) {
	port := os.Getenv(SandboxPort)
	if port == "" {
		return sandboxURL, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("invalid %s %q: set it to a port, a number from 1 to 65535", SandboxPort, port)
	}
	return "http://" + net.JoinHostPort("127.0.0.1", port), nil
}

// parseConnections parses connections.yaml. Paths in allowedSources become absolute, relative
// to the file's folder. SandboxPort moves connections to the sandbox. The error is a
// *FileError if the file is wrong.
func parseConnections(path string, data []byte) (*schemas.Connections, error) {
	folder, err := folderOf(path)
	if err != nil {
		return nil, err
	}
	p := &problems{path: path}
	var out schemas.Connections
	if doc := connectionsSchema().read(data, &out, p); doc != nil {
		checkConnections(&out, doc, p)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	sandbox, err := sandboxAddress()
	if err != nil {
		return nil, err
	}
	for i := range out.Connections {
		if out.Connections[i].BaseURL == sandboxURL {
			out.Connections[i].BaseURL = sandbox
		}
		sources := out.Connections[i].AllowedSources
		for j, s := range sources {
			sources[j] = resolve(folder, s)
		}
		for j := range out.Connections[i].Suppress {
			list := &out.Connections[i].Suppress[j]
			list.Source = resolve(folder, list.Source)
		}
	}
	return &out, nil
}

func checkConnections(all *schemas.Connections, doc *document, p *problems) {
	names := map[string]position{}
	for i, c := range all.Connections {
		path := []string{"connections", strconv.Itoa(i)}
		checkName(c.Name, "connection", child(path, "name"), names, doc, p)
		checkAddress(c, path, doc, p)
		checkKeyRef(c.APIKey, child(path, "apiKey"), doc, p)
		checkSuppress(c.Suppress, child(path, "suppress"), doc, p)
		for j, s := range c.AllowedSources {
			if strings.Contains(s, "://") {
				s, _, _ = strings.Cut(s, "?") // a bucket's parameters
			}
			if strings.ContainsAny(s, "*?[") {
				p.add(doc.at(child(path, "allowedSources", strconv.Itoa(j))...), "an allowed source is a folder or a prefix, not a pattern; remove * ? and [")
			}
		}
	}
}

// checkSuppress checks what a JSON Schema can't of the suppression lists.
func checkSuppress(lists []schemas.Suppression, path []string, doc *document, p *problems) {
	names := map[string]position{}
	for i, s := range lists {
		path := child(path, strconv.Itoa(i))
		checkName(s.Name, "suppression list", child(path, "name"), names, doc, p)
		switch at := doc.at(path...); {
		case !s.ByEmail() && !s.ByUserID():
			p.add(at, "this suppression list names no column; set email, emailSHA256, userID or userIDSHA256")
		case s.Email != "" && s.EmailSHA256 != "":
			p.add(at, "this suppression list has email and emailSHA256; remove one of them")
		case s.UserID != "" && s.UserIDSHA256 != "":
			p.add(at, "this suppression list has userID and userIDSHA256; remove one of them")
		}
	}
}

// checkName checks that a name is unique, and that it can be distinguished by eye and typed on
// a command line.
func checkName(name, what string, path []string, names map[string]position, doc *document, p *problems) {
	at := doc.at(path...)
	if strings.TrimSpace(name) != name {
		p.add(at, "the name %s begins or ends with white space; remove it", quote(name))
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		p.add(at, "the name %s contains an invisible character; remove it", quote(name))
	}
	if first, twice := names[name]; twice {
		p.add(at, "another %s in line %[3]d is called %[2]s; names must be unique", what, quote(name), first.line)
		return
	}
	names[name] = at
}

func checkAddress(c schemas.Connection, path []string, doc *document, p *problems) {
	switch {
	case c.Region == "" && c.BaseURL == "":
		p.add(doc.at(path...), "this connection has no region; set region: us or region: eu, the data centre of the Iterable project")
		return
	case c.Region != "" && c.BaseURL != "":
		p.add(doc.atKey(child(path, "baseURL")...), "this connection has a region and a baseURL; remove one of them")
	}
	if c.BaseURL == "" {
		return
	}
	at := doc.at(child(path, "baseURL")...)
	u, err := url.Parse(c.BaseURL)
	// Messages do not repeat the address, which may contain a key.
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		p.add(at, "baseURL must be an address such as https://api.iterable.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.add(at, "baseURL must end with the host or a path; remove the user, the password, ? and #")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		p.add(at, "baseURL must start with https://, or the API key and profiles' data would be sent unencrypted; http:// is for this machine (127.0.0.1) only")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkKeyRef checks where a key is read from. Its messages never repeat the value, which may
// be the key itself.
func checkKeyRef(k schemas.KeyRef, path []string, doc *document, p *problems) {
	const literal = "this looks like an API key, which must not be in this file: put the key into an environment variable or a file of the worker " +
		"and name that here; if others can read this file, create a new key in Iterable"
	switch {
	case k.Env == "" && k.File == "":
		p.add(doc.at(path...), "apiKey must name the place of the key: {env: VARIABLE} or {file: PATH}")
	case k.Env != "" && k.File != "":
		p.add(doc.at(path...), "apiKey has env and file; remove one of them")
	}
	switch at := doc.at(child(path, "env")...); {
	case k.Env == "":
	case looksLikeKey(k.Env):
		p.add(at, literal)
	case !variable.MatchString(k.Env):
		p.add(at, "env must be the name of an environment variable: letters, digits and _, such as ITERABLE_KEY_MARKETING")
	}
	if base := filepath.Base(k.File); k.File != "" && looksLikeKey(base) && base == k.File {
		p.add(doc.at(child(path, "file")...), literal)
	}
}

// folderOf returns the absolute folder of a file, which its relative paths start from.
func folderOf(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find the folder of %s: %w", path, err)
	}
	return filepath.Dir(abs), nil
}

// resolve makes a path absolute; URLs stay as they are.
func resolve(folder, source string) string {
	if strings.Contains(source, "://") || filepath.IsAbs(source) {
		return source
	}
	return filepath.Join(folder, source)
}
