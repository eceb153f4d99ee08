// Package batch divides profiles into batches, stores them in the staged file, and writes the
// JSON bodies of the requests.
//
// # The staged file
//
// The staged file is an Arrow IPC file of schemas.StagedSchema. Limits bound the profiles
// of a record batch and the size of the request's body that it makes. The footer is an
// index, so batch k can be read alone, and any Arrow reader can open the file.
//
// Between the last record batch and the footer is a block that Arrow's readers skip: a
// 64-bit checksum of each batch's content and one of the footer. Without it, a flipped bit
// could send a row to another address.
//
// # Bodies
//
// A profile's data fields are staged as JSON text, so writing a body is copying.
// A Body has ranges of rows, so that splitting a refused request only needs smaller ranges.
package batch
