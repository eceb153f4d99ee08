// Package batch divides profiles into batches, stores them in the staged file, and writes the
// JSON bodies of the requests.
//
// # The staged file
//
// The staged file is an Arrow IPC file of schemas.StagedSchema in which each
// record batch is one request: at most so many profiles, and a body of at most
// so many bytes, measured as the body will be written. Its footer is the index,
// so batch k can be read alone, and any Arrow reader can open the file.
//
// Between the last record batch and the footer lies one block that Arrow's
// readers skip: a 64-bit checksum of each batch's content and one of the footer. A
// row with a flipped bit would otherwise go to another address.
//
// # Bodies
//
// A profile's data fields are staged as JSON text, so writing a body is copying.
// A Body has ranges of rows, so that splitting a refused request only needs smaller ranges.
package batch
