// Package iterable is the client of Iterable's HTTP API: lists, subscribing and unsubscribing,
// their pace, and the classes of failures.
//
// A [Client] belongs to one connection. Its plain methods make one call each;
// calls that only read are tried a few times. [Client.Send] is for uploads: it
// waits for its turn at the connection's limiter, sends, and retries until Iterable has
// accepted the request or refused it for good.
//
// Failures are [*Error]. Of Iterable's answer its text has only the status and a known code,
// since answers can contain addresses.
package iterable
