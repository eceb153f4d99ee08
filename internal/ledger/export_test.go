package ledger

// Behind is for tests.
var Behind = (*Ledger).behind

// Declared is for tests.
var Declared = (*Ledger).declared
