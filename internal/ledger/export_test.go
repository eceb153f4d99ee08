package ledger

// Behind is for tests.
var Behind = (*Ledger).behind
