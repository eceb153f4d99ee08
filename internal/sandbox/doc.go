// Package sandbox is a stand-in for the part of the Iterable API that this
// project uses, for tests, demonstrations and benchmarks.
//
// It is an http.Handler. Under /api/ it answers as Iterable does: lists,
// subscribe and unsubscribe, users/getFields and the reading of one user.
// It is strict where Iterable may be lenient, so that what works here works
// there: unknown JSON fields and wrong types are 400 BadParams.
//
// Under /sandbox/, without a key, it lets a test look behind the API:
//
//	GET    /sandbox/stats     requests by endpoint, and each list's size and digest (?digests=false leaves the digests out)
//	GET    /sandbox/requests  the last requests, without people (?last=N, default 100)
//	GET    /sandbox/members   a list's members, sorted, one a line (?list=ID)
//	POST   /sandbox/faults    a Fault, or an array of them: how the next requests are to fail
//	DELETE /sandbox/faults    no more faults; requests that hang are reset
//	POST   /sandbox/keys      a KeyChange: add, revoke or restore an API key
//	POST   /sandbox/people    a PeopleMark: people that Iterable would refuse, and why
//	POST   /sandbox/lists     a NewList: a list of any type, to be found by the next GET /api/lists
//	POST   /sandbox/load      a Load: other users of the project, who use up a part of its rate
//
// # Digests
//
// A member's line is its address in lower case in an email-based project, its
// user id in a userID-based one, and in a hybrid one the address, a tab and the
// user id (either may be empty). A list's digest is the SHA-256, in hexadecimal,
// over its members' lines sorted by byte and joined by "\n", with none at the
// end; the second digest is made of the same lines, in the same order, each
// followed by a tab and the 16 hexadecimal digits of the profile's fields hash.
// That is the XXH3-64 of the last dataFields that a subscribe call brought for
// the profile, as sent save for white space between tokens, and 0 where none
// came or the object was empty.
//
// # Assumed
//
// What the documentation leaves open, and how it is done here:
//   - A rate is a token bucket of one second's requests that refills evenly.
//   - In an email-based project a user id without an address finds the profile
//     that bears it; if there is none, preferUserId makes one with the address
//     <userId>@placeholder.email, and otherwise the row is notFound.
//   - In a userID-based project an address without a user id finds the first
//     profile that bears it, otherwise the row is notFound.
//   - A user ID whose dataFields have an "email" gets that address, except in an
//     email-based project.
//   - In a hybrid project an address and a user id of two different profiles
//     are a conflict.
//   - A whole number fits into a field of type double, and a date into one of
//     type string; every other difference of types is a mismatch. Fields inside
//     objects have no type of their own.
package sandbox
