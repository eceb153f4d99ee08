package email

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

// long makes a text of n letters.
func long(n int) string { return strings.Repeat("a", n) }

var accepted = map[string]string{
	"ann@example.com":               "ann@example.com",
	"Ann.B@Example.COM":             "ann.b@example.com",
	"  ann@example.com\t\r\n":       "ann@example.com",
	"\u00a0ann@example.com\u2003":   "ann@example.com",
	"\ufeffann@example.com":         "ann@example.com",
	"a+b_c-d!#$%&'*/=?^`{|}~@x.org": "a+b_c-d!#$%&'*/=?^`{|}~@x.org",
	"1@2.com":                       "1@2.com",
	"ann@mail.example.co.uk":        "ann@mail.example.co.uk",
	"ann@a-b.com":                   "ann@a-b.com",
	"ann@1.2.3.com":                 "ann@1.2.3.com",
	"ann@bücher.de":                 "ann@xn--bcher-kva.de",
	"ANN@BÜCHER.DE":                 "ann@xn--bcher-kva.de",
	"ann@xn--bcher-kva.de":          "ann@xn--bcher-kva.de",
	"ann@例え.jp":                     "ann@xn--r8jz45g.jp",
	"ann@例え。jp":                     "ann@xn--r8jz45g.jp",
	"ann@почта.рф":                  "ann@xn--80a1acny.xn--p1ai",
	"ann@straße.de":                 "ann@xn--strae-oqa.de",
	"ann@x.ck":                      "ann@x.ck",
	long(64) + "@example.com":       long(64) + "@example.com",
	"a@" + long(63) + ".com":        "a@" + long(63) + ".com",
	"no-reply@notplaceholder.email": "no-reply@notplaceholder.email",
}

func TestAccepts(t *testing.T) {
	for raw, want := range accepted {
		got, reason := Normalize([]byte(raw), nil, Options{})
		if reason != "" || string(got) != want {
			t.Errorf("%q: got %q, %q; want %q", raw, got, reason, want)
		}
	}
}

var rejected = map[schemas.Reason][]string{
	schemas.ReasonMissing: {"", " ", "\t\n", "\u00a0", "\ufeff"},
	schemas.ReasonSyntax: {
		"ann", "@", "@example.com", "ann@", "ann@@example.com", "ann@b@example.com", "ann b@example.com",
		"Ann <ann@example.com>", "<ann@example.com>", "mailto:ann@example.com", "ann(comment)@example.com",
		"ann@example.com, bob@example.com", "ann@example.com;bob@example.com", "ann@exam ple.com", "ann@example.com>",
		"ann@bü cher.de", "\xff\xfe@example.com", "ann＠example.com", `a"b@example.com`, `"@example.com`,
	},
	schemas.ReasonLocalTooLong: {long(65) + "@example.com", long(10_000) + "@example.com"},
	schemas.ReasonTooLong: {
		long(64) + "@" + long(63) + "." + long(63) + "." + long(60) + ".com",
		"ann@" + strings.Repeat("ü", 2000) + ".de", "ann@" + long(300) + ".com",
	},
	schemas.ReasonDots:          {".ann@example.com", "ann.@example.com", "an..n@example.com", ".@example.com"},
	schemas.ReasonNonASCIILocal: {"jörg@example.com", "用户@example.com", "anné@example.com"},
	schemas.ReasonQuotedLocal:   {`"ann"@example.com`, `"ann b"@example.com`, `"a@b"@example.com`, `""@example.com`},
	schemas.ReasonIPLiteral:     {"ann@[192.0.2.1]", "ann@[IPv6:2001:db8::1]", "ann@192.0.2.1"},
	schemas.ReasonDomainSyntax: {
		"ann@-example.com", "ann@example-.com", "ann@example..com", "ann@.example.com", "ann@example.com.",
		"ann@exa_mple.com", "ann@" + long(64) + ".com", "ann@example.123", "ann@1.2.3", "ann@xn--a.com", "ann@\xff.com", "ann@bü_cher.de",
	},
	schemas.ReasonNoTLD:            {"ann@localhost", "ann@example"},
	schemas.ReasonUnknownTLD:       {"ann@example.invalid", "ann@example.con", "ann@example.test", "ann@example.comm"},
	schemas.ReasonPlaceholder:      {"abc@placeholder.email", "ABC@Placeholder.Email"},
	schemas.ReasonControlCharacter: {"an\x00n@example.com", "ann@exam\tple.com", "ann\x7f@example.com", "an\u200bn@example.com", "ann@exam\u200dple.com", "ann@example.com\nBcc: x", "ann\u202e@example.com"},
}

func TestRejects(t *testing.T) {
	for want, raws := range rejected {
		for _, raw := range raws {
			got, reason := Normalize([]byte(raw), nil, Options{})
			if reason != want || got != nil {
				t.Errorf("%.80q: got %q, %q; want %q", raw, got, reason, want)
			}
		}
	}
}

func TestUnknownTLDsAreASetting(t *testing.T) {
	got, reason := Normalize([]byte("ann@example.internal"), nil, Options{AllowUnknownTLD: true})
	if reason != "" || string(got) != "ann@example.internal" {
		t.Fatalf("got %q, %q", got, reason)
	}
}

func TestRawIsLeftAlone(t *testing.T) {
	raw := []byte(" Ann@Example.COM ")
	before := bytes.Clone(raw)
	Normalize(raw, make([]byte, 0, 300), Options{})
	if !bytes.Equal(raw, before) {
		t.Fatalf("raw became %q", raw)
	}
}

func TestAPlainAddressCostsNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 254)
	for _, raw := range []string{"ann.bell@example.com", "Ann.Bell@Example.COM", "  ann@example.com  "} {
		b := []byte(raw)
		Normalize(b, buf, Options{})
		if n := testing.AllocsPerRun(100, func() { Normalize(b, buf, Options{}) }); n != 0 {
			t.Errorf("%q: %v allocations", raw, n)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for raw := range accepted {
		f.Add([]byte(raw))
	}
	for _, raws := range rejected {
		for _, raw := range raws {
			f.Add([]byte(raw))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, reason := Normalize(raw, nil, Options{AllowUnknownTLD: true})
		if (reason == "") != (got != nil) {
			t.Fatalf("%q: %q with reason %q", raw, got, reason)
		}
		if reason != "" {
			if reason.Sentence() == string(reason) {
				t.Fatalf("reason %q has no sentence", reason)
			}
			return
		}
		parsed, err := mail.ParseAddress(string(got))
		if err != nil || parsed.Address != string(got) {
			t.Fatalf("%q: net/mail makes %v of %q: %v", raw, parsed, got, err)
		}
		local, domain, _ := strings.Cut(string(got), "@")
		if len(got) > maxAddress || len(local) > maxLocal || !strings.Contains(domain, ".") {
			t.Fatalf("%q: accepted %q", raw, got)
		}
		for _, c := range got {
			if c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' {
				t.Fatalf("%q: accepted %q", raw, got)
			}
		}
		again, reason := Normalize(got, nil, Options{AllowUnknownTLD: true})
		if reason != "" || !bytes.Equal(again, got) {
			t.Fatalf("%q becomes %q and then %q, %q", raw, got, again, reason)
		}
	})
}

func BenchmarkNormalize(b *testing.B) {
	raws := [][]byte{
		[]byte("ann.bell@example.com"), []byte("Bob.Carter@Example.ORG"), []byte("c@mail.example.co.uk"),
		[]byte("dora+news@example.net"), []byte("no-address"), []byte("erik.lindstrom.1987@example.se"),
	}
	buf := make([]byte, 0, 254)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		Normalize(raws[i%len(raws)], buf, Options{})
		i++
	}
}
