package sandbox

// deliverable says whether an address, in lower case, is one that the sandbox
// takes: a dot-atom, an @, and a domain of at least two labels. It is written on
// its own, apart from the exporter's validation, so that one mistake can't hide
// in both.
func deliverable(address []byte) bool {
	if len(address) > 254 {
		return false
	}
	at := -1
	for i, c := range address {
		if c == '@' {
			if at >= 0 {
				return false
			}
			at = i
		} else if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return at > 0 && at <= 64 && dotAtom(address[:at]) && domain(address[at+1:])
}

func dotAtom(local []byte) bool {
	before := byte('.')
	for _, c := range local {
		if c == '.' && before == '.' {
			return false
		}
		switch c {
		case '"', '(', ')', ',', ':', ';', '<', '>', '[', '\\', ']':
			return false
		}
		before = c
	}
	return before != '.'
}

func domain(d []byte) bool {
	labels, start := 0, 0
	for i := 0; i <= len(d); i++ {
		if i < len(d) && d[i] != '.' {
			if c := d[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
				return false
			}
			continue
		}
		label := d[start:i]
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		labels++
		start = i + 1
	}
	return labels >= 2
}
