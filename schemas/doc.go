// Package schemas holds the contracts between the parts of the program: what
// the configuration files may say, what goes into workflows and activities and
// comes out of them, the columns of staged files and snapshots, and the names
// of errors and reasons. It does no I/O and imports no other package of the project.
//
// Everything in an input, a result or an error here can end up in a workflow
// history, so no type below may carry an address, a user ID, a field value or
// an API key.
package schemas
