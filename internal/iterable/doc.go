// Package iterable is the client of Iterable's HTTP API: lists, subscribing and
// unsubscribing, the pace at which that may be done, and what each way of
// failing means.
//
// A [Client] belongs to one connection. Its plain methods make one call each;
// calls that only read are tried a few times. [Client.Send] is for uploads: it
// waits for its turn at the connection's [Pacer], sends, and tries again until
// Iterable has taken the request or refused it for good.
//
// Failures are [*Error]. Its text never holds anything of Iterable's answer but
// the status and a code out of a known list, since answers can name people.
package iterable
