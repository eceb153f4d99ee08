// Package iterable is the client of Iterable's HTTP API: lists, subscribing and unsubscribing,
// their rate limits, and the classes of failures.
//
// A [Client] belongs to one connection. Most methods make one call; calls that only read are
// retried a few times. [Client.Send] is for uploads: it sends in its turn at the connection's
// limiter, and retries until Iterable has accepted or finally refused the request.
//
// Failures are [*Error]. Its text contains only the status and a known code of Iterable's
// answer, since answers can contain addresses.
package iterable
