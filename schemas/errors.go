package schemas

// ErrorType names a class of failure that crosses an activity's boundary: it is
// the type of the Temporal application error. Temporary errors have no type; every error
// named here makes the run wait for an operator.
type ErrorType = string

// Errors that a retry alone can't fix.
const (
	// ErrorBadExport: the export's definition can't work as it stands.
	ErrorBadExport ErrorType = "BadExport"
	// ErrorUnknownConnection: connections.yaml has no connection of that name.
	ErrorUnknownConnection ErrorType = "UnknownConnection"
	// ErrorNoKey: the worker can't find the connection's API key.
	ErrorNoKey ErrorType = "NoKey"
	// ErrorNotAllowed: the person's role may not do this, or not over this
	// connection.
	ErrorNotAllowed ErrorType = "NotAllowed"
	// ErrorNoConsent: no one has agreed to sending personal data over the connection.
	ErrorNoConsent ErrorType = "NoConsent"
	// ErrorNoConnection: the export's connection was disconnected.
	ErrorNoConnection ErrorType = "NoConnection"
	// ErrorKeyRejected: Iterable does not accept the key (401).
	ErrorKeyRejected ErrorType = "KeyRejected"
	// ErrorKeyForbidden: Iterable does not let the key do this (403).
	ErrorKeyForbidden ErrorType = "KeyForbidden"
	// ErrorWrongRegion: the key belongs to the other data centre.
	ErrorWrongRegion ErrorType = "WrongRegion"
	// ErrorSourceNotAllowed: the source lies outside the allowed prefixes.
	ErrorSourceNotAllowed ErrorType = "SourceNotAllowed"
	// ErrorSuppression: a suppression list of the connection can't be read, or does not fit
	// the export.
	ErrorSuppression ErrorType = "Suppression"
	// ErrorSuppressionChanged: a suppression list changed while the run waited for a person.
	// The run starts over by itself.
	ErrorSuppressionChanged ErrorType = "SuppressionChanged"
	// ErrorSuppressionDoubtful: a suppression list can be read, but probably lacks entries.
	// Only an administrator can approve the wait, which may have other guardrails too.
	ErrorSuppressionDoubtful ErrorType = "SuppressionDoubtful"
	// ErrorSegmentNotFound: there is no file at the segment's source.
	ErrorSegmentNotFound ErrorType = "SegmentNotFound"
	// ErrorSegmentUnreadable: a file of the segment can't be read.
	ErrorSegmentUnreadable ErrorType = "SegmentUnreadable"
	// ErrorSegmentChanged: a file of the segment changed during the run.
	ErrorSegmentChanged ErrorType = "SegmentChanged"
	// ErrorColumn: a mapped column is missing, ambiguous or of an unusable type.
	ErrorColumn ErrorType = "Column"
	// ErrorFieldTypes: a mapped field has another type than Iterable's field of
	// that name.
	ErrorFieldTypes ErrorType = "FieldTypes"
	// ErrorListAmbiguous: more than one list bears the segment's name.
	ErrorListAmbiguous ErrorType = "ListAmbiguous"
	// ErrorListUnusable: the list of that name is not a Standard list.
	ErrorListUnusable ErrorType = "ListUnusable"
	// ErrorListOwned: another export fills the list. Approving the wait hands it over.
	ErrorListOwned ErrorType = "ListOwned"
	// ErrorListForeign: an export over another connection fills the list, or one that is
	// not known. Only an administrator can approve the wait.
	ErrorListForeign ErrorType = "ListForeign"
	// ErrorNoWorker: no worker serves the run's connection.
	ErrorNoWorker ErrorType = "NoWorker"
	// ErrorListGone: the list was deleted during the run.
	ErrorListGone ErrorType = "ListGone"
	// ErrorRequestRefused: Iterable refused a request for a reason that has
	// nothing to do with a single profile.
	ErrorRequestRefused ErrorType = "RequestRefused"
	// ErrorStaging: the staged file is missing or damaged.
	ErrorStaging ErrorType = "Staging"
	// ErrorDataKey: the worker lacks the key that a file of the data root is
	// encrypted with.
	ErrorDataKey ErrorType = "DataKey"
	// ErrorDeadline: a step has failed for the whole of the export's deadline.
	ErrorDeadline ErrorType = "Deadline"
)

// ErrorGuardrail is the type of the wait that a guardrail starts.
const ErrorGuardrail ErrorType = "Guardrail"

// ErrorNotReady is the type of the wait of a run whose data did not get ready in time.
const ErrorNotReady ErrorType = "NotReady"

// ErrorGrant is the type of the error that ends a run without a valid grant: it is missing,
// altered, expired, revoked or another export's. The run does not wait, since its input
// can't be changed.
const ErrorGrant ErrorType = "Grant"

// ErrorNameTaken: the export's name belongs to another connection.
const ErrorNameTaken ErrorType = "NameTaken"

// Errors of requests to the gateway.
const (
	// ErrorBadRequest: the request can't be parsed.
	ErrorBadRequest ErrorType = "BadRequest"
	// ErrorConflict: the present state does not allow it.
	ErrorConflict ErrorType = "Conflict"
	// ErrorHasLooked: a run is under way that may not have read the newest data.
	ErrorHasLooked ErrorType = "HasLooked"
	// ErrorChanged: the state that it was based on has changed.
	ErrorChanged ErrorType = "Changed"
	// ErrorUnderWay: a run in progress, or a thing in use, prevents it.
	ErrorUnderWay ErrorType = "UnderWay"
	// ErrorNotKept: the data root does not hold it (any more).
	ErrorNotKept ErrorType = "NotKept"
)

// ErrorProof: the person could not be authenticated.
const ErrorProof ErrorType = "Proof"

// ErrorSegmentsFailed is the type of the error that RunExport ends with when a
// segment was not exported. Its details are the RunResult.
const ErrorSegmentsFailed ErrorType = "SegmentsFailed"

// ErrorRefreshFailed is the type of the error that Refresh ends with when the run of an
// export has failed. Its details are the RefreshResult.
const ErrorRefreshFailed ErrorType = "RefreshFailed"

// ErrorAborted is the type of the error that ends a run that an operator
// aborted.
const ErrorAborted ErrorType = "Aborted"

// ErrorNotify: a webhook can't be called, and no retry will help.
const ErrorNotify ErrorType = "Notify"
