package email

import (
	"bytes"
	"fmt"
	"net/mail"
	"strings"
	"sync"
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
	"ann@sub.xn--bcher-kva.DE":      "ann@sub.xn--bcher-kva.de",
	"ANN@XN--BCHER-KVA.de":          "ann@xn--bcher-kva.de",
	"ann@Ｅｘａｍｐｌｅ.com":               "ann@example.com",
	"ann@r3---sn.example.com":       "ann@r3---sn.example.com",
	"\u3000ann@example.com\u2028":   "ann@example.com",
	"ann@example.com\ufeff \u00a0":  "ann@example.com",
	"ann@نامه\u200cای.com":          "ann@xn--mgba3gch31f060k.com",
	"ann@foo.github.io":             "ann@foo.github.io",
	"ann@github.io":                 "ann@github.io",
	"ann@mail.placeholder.email":    "ann@mail.placeholder.email",
	"ann@example.museum":            "ann@example.museum",
	"ann@example.香港":                "ann@example.xn--j6w193g",
	"a.b.c.d.e@example.com":         "a.b.c.d.e@example.com",
	"'ann'@example.com":             "'ann'@example.com",
	"ann@" + strings.Repeat(long(61)+".", 3) + long(60) + ".com": "ann@" + strings.Repeat(long(61)+".", 3) + long(60) + ".com", // 254
	long(64) + "@example.com":                                    long(64) + "@example.com",
	"a@" + long(63) + ".com":                                     "a@" + long(63) + ".com",
	"no-reply@notplaceholder.email":                              "no-reply@notplaceholder.email",
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
	schemas.ReasonMissing: {"", " ", "\t\n", "\u00a0", "\ufeff", "\u2003\u3000\u0085", " \r\n\v\f "},
	schemas.ReasonSyntax: {
		"ann", "@", "@example.com", "ann@", "ann@@example.com", "ann@b@example.com", "ann b@example.com",
		"Ann <ann@example.com>", "<ann@example.com>", "mailto:ann@example.com", "ann(comment)@example.com",
		"ann@example.com, bob@example.com", "ann@example.com;bob@example.com", "ann@exam ple.com", "ann@example.com>",
		"ann@bü cher.de", "\xff\xfe@example.com", "ann＠example.com", `a"b@example.com`, `"@example.com`,
		`"Ann" <ann@example.com>`, "ann@[192.0.2.1", "ann@192.0.2.1]", "ann at example.com", "ann@example.com (work)", "ann@example.com/inbox",
		"ann@example.com:25", "ann@example,com", "http://ann@example.com", "n/a", "null", "@@", "\xff\xff@\xff", "ann\\@example.com", "ann@2001:db8::1",
		"(ann)bob@example.com", "ann@(comment)example.com", "group:ann@example.com;", "ann @example.com", "ann@ example.com", "ann@ex\u00a0ample.com\"",
	},
	schemas.ReasonLocalTooLong: {long(65) + "@example.com", " " + long(65) + "@EXAMPLE.com", long(65) + "@bücher.de", long(10_000) + "@example.com"},
	schemas.ReasonTooLong: {
		long(64) + "@" + long(63) + "." + long(63) + "." + long(60) + ".com",
		"ann@" + strings.Repeat("ü", 2000) + ".de", "ann@" + long(300) + ".com", "Ann@" + long(1_000_000) + ".COM",
		"ann@" + strings.Repeat(long(61)+".", 3) + long(61) + ".com", "ann@" + strings.Repeat("xn--bcher-kva.", 30) + "de",
	},
	schemas.ReasonDots:          {".ann@example.com", "ann.@example.com", "an..n@example.com", ".@example.com", "..@example.com", "Ann..B@bücher.de"},
	schemas.ReasonNonASCIILocal: {"jörg@example.com", "用户@example.com", "anné@example.com", "jörg@bücher.de", "Ａnn@example.com", "ann😀@example.com"},
	schemas.ReasonQuotedLocal:   {`"ann"@example.com`, `"ann b"@example.com`, `"a@b"@example.com`, `""@example.com`, `"ann"@bücher.de`},
	schemas.ReasonIPLiteral:     {"ann@[192.0.2.1]", "ann@[IPv6:2001:db8::1]", "ann@192.0.2.1", "ann@999.0.2.1", "ann@１９２.０.２.１", "Ann@[x]"},
	schemas.ReasonDomainSyntax: {
		"ann@-example.com", "ann@example-.com", "ann@example..com", "ann@.example.com", "ann@example.com.",
		"ann@exa_mple.com", "ann@" + long(64) + ".com", "ann@example.123", "ann@1.2.3", "ann@xn--a.com", "ann@\xff.com", "ann@bü_cher.de",
		"ann@.", "ann@..", "ann@.com", "ann@com.", "ann@a.b.c.4", "ann@1.2.3.4.5", "ann@_dmarc.example.com", "ann@xn--.com", "ann@-.com", "ann@bücher.de.",
		"ann@-bücher.de", "ann@bücher..de", "ann@example.-com", "ann@" + strings.Repeat("ü", 60) + ".de", "ann@xn--bcher-kva\xff.de",
	},
	schemas.ReasonNoTLD:       {"ann@localhost", "ann@example", "ann@com", "ann@bücher", "ann@123", "ann@xn--bcher-kva"},
	schemas.ReasonUnknownTLD:  {"ann@example.invalid", "ann@example.con", "ann@example.test", "ann@example.comm", "Ann@Example.CON", "ann@bücher.bücher", "ann@example.local", "ann@server.corp"},
	schemas.ReasonPlaceholder: {"abc@placeholder.email", "ABC@Placeholder.Email", "x@ｐlaceholder.email", " 1@placeholder.email "},
	schemas.ReasonControlCharacter: {"an\x00n@example.com", "ann@exam\tple.com", "ann\x7f@example.com", "an\u200bn@example.com", "ann@exam\u200dple.com", "ann@example.com\nBcc: x", "ann\u202e@example.com",
		"\x00", "\x00ann@example.com", "ann@example.com\x00", "\u200bann@example.com", "an\u200cn@example.com", "ann\u00ad@example.com", "ann@exam\u00adple.com", "a\u2028nn@example.com", "an\ufeffn@example.com", "\x1b[31mann@example.com", "ann\u0085@example.com", "a\u200d"},
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

func TestEveryReasonHasExamples(t *testing.T) {
	for _, reason := range []schemas.Reason{
		schemas.ReasonMissing, schemas.ReasonSyntax, schemas.ReasonLocalTooLong, schemas.ReasonTooLong, schemas.ReasonDots,
		schemas.ReasonNonASCIILocal, schemas.ReasonQuotedLocal, schemas.ReasonIPLiteral, schemas.ReasonDomainSyntax,
		schemas.ReasonNoTLD, schemas.ReasonUnknownTLD, schemas.ReasonPlaceholder, schemas.ReasonControlCharacter,
	} {
		if len(rejected[reason]) < 4 {
			t.Errorf("%s has %d examples", reason, len(rejected[reason]))
		}
	}
}

// TestTheSetOfTLDsIsBounded: the set is made of what the input asks for.
func TestTheSetOfTLDsIsBounded(t *testing.T) {
	var set tldSet
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range 1000 {
				if set.known(fmt.Appendf(nil, "x%d-%d", g, i)) {
					t.Errorf("x%d-%d is known", g, i)
				}
				if !set.known([]byte([]string{"com", "org", "de", "ck"}[i%4])) {
					t.Error("a top-level domain is unknown")
				}
			}
		})
	}
	group.Wait()
	if n := len(*set.met.Load()); n != 4 {
		t.Fatalf("%d are remembered", n)
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
		before := bytes.Clone(raw)
		got, reason := Normalize(raw, nil, Options{AllowUnknownTLD: true})
		strict, strictReason := Normalize(raw, []byte("something that was there before"), Options{})
		if strictReason != reason && (reason != "" || strictReason != schemas.ReasonUnknownTLD) || strictReason == "" && !bytes.Equal(strict, got) {
			t.Fatalf("%q: %q, %q; with the top-level domain checked %q, %q", raw, got, reason, strict, strictReason)
		}
		if !bytes.Equal(raw, before) {
			t.Fatalf("%q became %q", before, raw)
		}
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
	for name, raws := range map[string][]string{
		"mix": {
			"ann.bell@example.com", "Bob.Carter@Example.ORG", "c@mail.example.co.uk", "dora+news@example.net", "no-address",
			"erik.lindstrom.1987@example.se", "  FRIEDA.MOELLER@EXAMPLE.DE ", "gil@example..com",
		},
		"lower":         {"ann.bell@example.com"},
		"upper":         {"ANN.BELL@EXAMPLE.COM"},
		"unknown TLD":   {"ann.bell@example.con"},
		"international": {"ann.bell@bücher.de"},
	} {
		b.Run(name, func(b *testing.B) {
			mix := make([][]byte, len(raws))
			for i, raw := range raws {
				mix[i] = []byte(raw)
			}
			buf := make([]byte, 0, maxAddress)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				Normalize(mix[i], buf, Options{})
				if i++; i == len(mix) {
					i = 0
				}
			}
		})
	}
}
